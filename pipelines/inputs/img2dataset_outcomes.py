"""Which outcome a failure stands for that img2dataset wrote down.

It keeps no kind of failure, only the text of whatever was raised: urllib's, the system's, OpenCV's
or its own. The texts below are those of img2dataset 1.47.0 on Python 3.8 to 3.12.
"""

import re

from pipelines.fetching.refused import Refused
from pipelines.web.responses import refuse_status

MAX_SIGNAL_CHARS = 200
"""A message may hold what a stranger's server said."""

STATUS = re.compile(r"HTTP Error (\d{3}):")
"""How urllib's HTTPError begins; what follows is the server's to choose."""

REDIRECT_PATTERNS = (
    (r"would lead to an infinite loop", "too_many_redirects"),
    (r"Redirection to url .* is not allowed", "scheme_not_allowed"),
)
FETCH_PATTERNS = (
    (r"X-Robots-Tag", "optout_header"),
    (r"hash mismatch", "hash_mismatch"),
    (r"timed out", "timeout"),  # the handshake's too, so before TLS
    (
        r"Name or service not known|name resolution|No address associated|getaddrinfo|nodename",
        "dns_failure",
    ),
    (r"\[?SSL\b|_ssl\.c|CERTIFICATE|certificate", "tls_error"),
    (r"IncompleteRead", "truncated_body"),
    (
        r"refused|reset by peer|unreachable|No route to host|Remote end closed|Broken pipe"
        r"|Cannot assign requested address|forcibly closed|aborted",
        "connect_failed",
    ),
    (r"unknown url type: '", "bad_url"),  # the whole of it: there is no scheme
    (r"unknown url type|ftp error", "scheme_not_allowed"),
    (
        r"URL can't contain control|codec can't encode|nonnumeric port|no host given"
        r"|Invalid IPv6 URL|'idna' codec|[Ll]abel (empty or )?too long|URL can't be",
        "bad_url",
    ),
)
"""In each table the first line that fits decides."""
RESIZE_PATTERNS = (
    (r"image too small", "too_small"),
    (r"image area too large|CV_IO_MAX_IMAGE", "too_many_pixels"),
    (r"aspect ratio too large", "format_refused"),
    (r"buf\.empty\(\)", "empty_body"),
    (r"Insufficient memory|Unable to allocate", "decode_oom"),
)


def name_outcome(status: str | None, message: str | None) -> str:
    """The outcome of a row whose `status` is not success.

    What no line knows is `decode_error` where the resizer failed. Else it is `bad_http`: with
    names, sockets, TLS, time and statuses gone, what is left is nearly always the odd text that
    a server sent where its status line belonged.
    """
    text = message or ""
    if status == "failed_to_resize":
        return _first(RESIZE_PATTERNS, text) or "decode_error"
    answered = STATUS.match(text)
    if answered is not None:
        return _name_status(int(answered[1]), text)
    return _first(FETCH_PATTERNS, text) or "bad_http"


def bound_message(message: str | None) -> str:
    """The message on one line, 200 characters at most."""
    return " ".join((message or "").split())[:MAX_SIGNAL_CHARS]


def _first(patterns: tuple[tuple[str, str], ...], text: str) -> str | None:
    return next((outcome for pattern, outcome in patterns if re.search(pattern, text)), None)


def _name_status(status: int, text: str) -> str:
    if 300 <= status < 400:
        return _first(REDIRECT_PATTERNS, text) or "bad_http"
    try:
        refuse_status(status)
    except Refused as refused:
        return refused.reason
    return "bad_http"  # an error that says 2xx
