"""img2dataset's own words for a failure, and what they stand for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.inputs.img2dataset_outcomes import MAX_SIGNAL_CHARS, bound_message, name_outcome
from pipelines.ledger import FETCH_OUTCOMES, OK


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        ("HTTP Error 404: Not Found", "http_404"),
        ("HTTP Error 401: Unauthorized", "http_4xx"),
        ("HTTP Error 408: Request timed out", "http_4xx"),  # its text is the server's own
        ("HTTP Error 410: Gone", "http_410"),
        ("HTTP Error 429: Too Many Requests", "http_429"),
        ("HTTP Error 503: SSL certificate refused", "http_5xx"),
        ("HTTP Error 999: Request denied", "bad_http"),
        ("HTTP Error 308: Permanent Redirect", "bad_http"),
        (
            "HTTP Error 302: The HTTP server returned a redirect error that would lead to an "
            "infinite loop.\nThe last 30x error message was:\nFound",
            "too_many_redirects",
        ),
        (
            "HTTP Error 301: Moved - Redirection to url 'file:///a' is not allowed",
            "scheme_not_allowed",
        ),
        ("timed out", "timeout"),
        ("The read operation timed out", "timeout"),
        ("<urlopen error timed out>", "timeout"),
        ("<urlopen error [Errno 110] Connection timed out>", "timeout"),
        ("<urlopen error _ssl.c:989: The handshake operation timed out>", "timeout"),
        ("<urlopen error [Errno -2] Name or service not known>", "dns_failure"),
        ("<urlopen error [Errno -3] Temporary failure in name resolution>", "dns_failure"),
        ("<urlopen error [Errno -5] No address associated with hostname>", "dns_failure"),
        (
            "<urlopen error [Errno 8] nodename nor servname provided, or not known>",
            "dns_failure",
        ),
        ("<urlopen error [Errno 11001] getaddrinfo failed>", "dns_failure"),
        ("<urlopen error [Errno 111] Connection refused>", "connect_failed"),
        ("<urlopen error [Errno 61] Connection refused>", "connect_failed"),
        ("[Errno 104] Connection reset by peer", "connect_failed"),
        ("<urlopen error [Errno 113] No route to host>", "connect_failed"),
        ("<urlopen error [Errno 101] Network is unreachable>", "connect_failed"),
        ("Remote end closed connection without response", "connect_failed"),
        (
            "<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
            "certificate has expired (_ssl.c:992)>",
            "tls_error",
        ),
        (
            "<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
            "Hostname mismatch, certificate is not valid for 'a'. (_ssl.c:992)>",
            "tls_error",
        ),
        (
            "<urlopen error EOF occurred in violation of protocol (_ssl.c:992)>",
            "tls_error",
        ),
        ("IncompleteRead(100 bytes read, 1163 more expected)", "truncated_body"),
        ("Use of image disallowed by X-Robots-Tag directive", "optout_header"),
        ("hash mismatch", "hash_mismatch"),
        ("unknown url type: 'None'", "bad_url"),
        ("<urlopen error unknown url type: gopher>", "scheme_not_allowed"),
        (
            "URL can't contain control characters. '/a b' (found at least ' ')",
            "bad_url",
        ),
        ("'ascii' codec can't encode character '\\xe9' in position 5", "bad_url"),
        ("encoding with 'idna' codec failed (UnicodeError: label empty or too long)", "bad_url"),
        ("<urlopen error no host given>", "bad_url"),
        ("nonnumeric port: 'port'", "bad_url"),
        ("SSH-2.0-OpenSSH_9.6\r\n", "bad_http"),
        ("got more than 65536 bytes when reading header line", "bad_http"),
        ("", "bad_http"),
        (None, "bad_http"),
    ],
)
def test_a_failed_download(message: str | None, outcome: str) -> None:
    assert name_outcome("failed_to_download", message) == outcome


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        ("Image decoding error", "decode_error"),
        ("image decoding error", "decode_error"),
        ("image too small", "too_small"),
        ("image area too large", "too_many_pixels"),
        (
            "OpenCV(4.11.0) loadsave.cpp:83: error: (-215:Assertion failed) "
            "pixels <= CV_IO_MAX_IMAGE_PIXELS in function 'validateInputImageSize'\n",
            "too_many_pixels",
        ),
        ("aspect ratio too large", "format_refused"),
        (
            "OpenCV(4.14.0) loadsave.cpp:1310: error: (-215:Assertion failed) !buf.empty() in "
            "function 'imdecode_'\n",
            "empty_body",
        ),
        ("OpenCV(4.11.0) alloc.cpp:73: error: (-4:Insufficient memory)", "decode_oom"),
        ("HTTP Error 404: a picture's own words", "decode_error"),
    ],
)
def test_a_failed_resize(message: str, outcome: str) -> None:
    assert name_outcome("failed_to_resize", message) == outcome


@given(st.one_of(st.none(), st.text()), st.one_of(st.none(), st.text()))
def test_any_words_stand_for_one_failure(status: str | None, message: str | None) -> None:
    assert name_outcome(status, message) in set(FETCH_OUTCOMES) - {OK}


@given(st.text(max_size=500))
def test_a_message_is_one_short_line(message: str) -> None:
    bound = bound_message(message)
    assert len(bound) <= MAX_SIGNAL_CHARS
    assert len(bound.splitlines()) <= 1
