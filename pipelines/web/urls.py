"""A stranger's text as a URL that may be asked, checked before any name is looked up."""

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from urllib.parse import quote, urljoin, urlsplit

from yarl import URL

from pipelines.fetching.refused import Refused
from pipelines.web.addresses import AddressGuard
from pipelines.web.settings import FetchSettings

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST_NAME = re.compile(r"(?!.{254})([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PLAIN = re.compile(
    r"https?://(?:(?:(?:[a-z0-9]|[a-z0-9][a-z0-9_-]{0,61}[a-z0-9])\.)+[a-z]{2,63}"
    r"|(?:[0-9]{1,3}\.){3}[0-9]{1,3})(?::(?!443/)(?:[1-9][0-9]{2,3}|[1-5][0-9]{4}))?"
    r"/(?:[A-Za-z0-9/:@!$&'()*+,;=._~-]|%[0-9A-Fa-f]{2})*"
    r"(?:\?(?:[A-Za-z0-9/?:@!$&'()*+,;=._~-]|%[0-9A-Fa-f]{2})+)?"
)
"""Most URLs of a list: in the normal form already, which spares them most of the work."""
_SAFE = "%/?:@!$&'()*+,;=-._~[]|^"
"""What a path or query keeps as it is: a signed query must reach its server letter by letter."""


def checked_url(text: str, settings: FetchSettings) -> URL:
    """`text` as a URL whose scheme, host and port may be asked; blanks around it are ignored.

    Raises:
        Refused: `scheme_not_allowed`, `userinfo_refused`, `port_not_allowed`, `bad_url`, or
            `ssrf_blocked` where the host is an address that the guard refuses.
    """
    text = text.strip()
    if len(text) > settings.max_url_chars:
        raise Refused("bad_url")
    url = normal_url(text)
    try:
        _check_host(url.raw_host or "", url.port or 0, settings)
    except ValueError as err:  # a malformed literal
        raise Refused("bad_url") from err
    return url


def normal_url(text: str) -> URL:
    """`text` in the one form in which URLs are asked and compared: scheme and host in lower case,
    no default port, no fragment, what no URL may hold quoted.

    Raises:
        Refused: `scheme_not_allowed`, `userinfo_refused` or `bad_url`.
    """
    text = text.strip()
    if _PLAIN.fullmatch(text):
        return URL(text, encoded=True)
    if not text or _CONTROL.search(text):
        raise Refused("bad_url")
    try:
        parts, url = urlsplit(text), URL(text)
        if parts.scheme and parts.scheme not in ("http", "https"):
            raise Refused("scheme_not_allowed")
        if not parts.scheme or not url.raw_host:
            raise Refused("bad_url")
        if "@" in parts.netloc:
            raise Refused("userinfo_refused")
        path, query = _quoted(parts.path) or "/", _quoted(parts.query)
        return URL(f"{url.origin()}{path}{'?' if query else ''}{query}", encoded=True)
    except ValueError as err:  # a malformed literal, port or name; a lone surrogate
        raise Refused("bad_url") from err


def redirect_target(url: URL, location: str | None, settings: FetchSettings) -> URL:
    """Where a redirect leads, checked like any other URL.

    Raises:
        Refused: `bad_http` where there is no target, else as `checked_url`.
    """
    if not location:
        raise Refused("bad_http")
    try:
        target = urljoin(str(url), location)
    except ValueError as err:
        raise Refused("bad_http") from err
    return checked_url(target, settings)


def host_name(text: str) -> str | None:
    """A host as URLs name it: lower case, IDN as ASCII, no dot at its end; None for no host."""
    try:
        host = (URL(f"http://{text}/").raw_host or "").rstrip(".")
    except ValueError:
        return None
    same = not set(text) & set("/?#@:[] ") or ":" in host
    return host if same and (":" in host or _HOST_NAME.fullmatch(host)) else None


def is_literal(host: str) -> bool:
    """The host is an address and not a name."""
    last_label = host.removesuffix(".").rpartition(".")[2]
    return ":" in host or _NUMBER.fullmatch(last_label) is not None


def _check_host(host: str, port: int, settings: FetchSettings) -> None:
    if port not in settings.guard.allow_ports:
        raise Refused("port_not_allowed")
    if is_literal(host):
        reason = _literal_refusal(settings.guard, host, port)
        if reason is not None:
            raise Refused(reason)
    elif _HOST_NAME.fullmatch(host) is None:
        raise Refused("bad_url")


@lru_cache(maxsize=4096)
def _literal_refusal(guard: AddressGuard, host: str, port: int) -> str | None:
    # Only the dotted quad: 127.1, 2130706433 and 0x7f000001 mean an address to some resolvers.
    address = ip_address(host)
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return "bad_url"
    return guard.refusal(host, port)


def _quoted(part: str) -> str:
    return _LONE_PERCENT.sub("%25", quote(part, safe=_SAFE))
