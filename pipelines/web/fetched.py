"""What a fetch comes to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of one URL."""

    outcome: str
    """`ok` or one reason out of `ledger.FETCH_OUTCOMES`."""
    body: bytes | None = None
    """The bytes, never empty; None unless `ok`."""
    url_final: str | None = None
    """The URL that was asked last, redirects included; None where none was."""
    http_status: int | None = None
    content_type: str | None = None
    """As the server gave it: what the bytes are is for the decoder to say."""
    signal: str | None = None
    """What decided, where the outcome alone does not say: "X-Robots-Tag: noai"."""
    robots: str | None = None
    """What robots.txt of the last host said: `allowed`, `none` (there is none) or `disallowed`."""
