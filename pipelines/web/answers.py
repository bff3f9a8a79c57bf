"""What one request came to."""

from dataclasses import dataclass

from yarl import URL


@dataclass(slots=True)  # not frozen: each layer adds what it knows, for every row
class Answer:
    """One request's end, before redirects are followed and attempts repeated."""

    outcome: str
    """`ok` or one reason out of `ledger.FETCH_OUTCOMES`."""
    url: URL
    status: int | None = None
    body: bytes | None = None
    content_type: str | None = None
    location: str | None = None
    """Where a redirect leads."""
    retry_after_s: float | None = None
    seconds: float = 0.0
    """From the dial to the body's end."""
    signal: str | None = None
    robots: str | None = None
    reached: bool = True
    """A connection stood, TLS included."""
    final: bool = False
    """Another attempt would end the same."""
