"""What a response's status line and headers say to a fetcher."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pipelines.fetching.refused import Refused

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAY_PASS = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which another attempt is made (Scrapy's list)."""
NAMED = {404: "http_404", 410: "http_410", 429: "http_429"}


def refuse_status(status: int) -> None:
    """Raise Refused unless the status promises the picture (2xx)."""
    if 200 <= status < 300:
        return
    if 400 <= status < 500:
        raise Refused(NAMED.get(status, "http_4xx"))
    raise Refused("http_5xx" if 500 <= status < 600 else "bad_http")


def refuse_encoding(content_encoding: str) -> None:
    """Raise Refused for a compressed body: only `identity` was asked for, and bombs come packed."""
    if content_encoding.strip().lower() not in ("", "identity"):
        raise Refused("encoding_refused")


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for, or None where it says nothing usable.

    >>> retry_after_s("120", datetime.now(UTC)), retry_after_s("soon", datetime.now(UTC))
    (120.0, None)
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())
