"""Whether a response's headers ask for the picture to be left alone: a table of signals.

X-Robots-Tag  directives parted by commas. `name: directive` speaks to the crawler of that name
              alone, and so do the directives after it, up to the next name; a colon after a
              directive that takes a value (`max-image-preview: large`) names nobody.
TDM-Reservation  `1` reserves text and data mining (TDMRep, W3C Community Group report).
Content-Usage    the draft of the IETF's AI preferences; see `usage.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from multidict import CIMultiDictProxy

from pipelines.fetching.refused import Refused
from pipelines.web.usage import reserved_use

CRAWLER = "pairmill"
"""Our product token, in robots.txt and in X-Robots-Tag."""
REFUSING = frozenset({"noai", "noimageai", "noml", "noindex", "noimageindex", "none"})
"""Directives that are honoured; `none` is short for noindex and nofollow."""
WITH_VALUE = ("unavailable_after", "max-")
"""How directives that take a value begin."""
MAX_SIGNAL_CHARS = 120
"""Characters of a signal that are stored: a stranger wrote them."""


def refuse_optout(headers: CIMultiDictProxy[str], now: datetime) -> None:
    """Raise Refused, `optout_header`, where a header speaks against us; the signal says which."""
    for name, judge in SIGNALS:
        values = headers.getall(name, ())
        decided = judge(values, now) if values else None
        if decided is not None:
            raise Refused("optout_header", f"{name}: {decided}"[:MAX_SIGNAL_CHARS])


def robots_tag(values: Sequence[str], now: datetime) -> str | None:
    """The directive of `X-Robots-Tag` values that refuses us, or None.

    >>> robots_tag(["max-image-preview:large, NoAI"], datetime.now(UTC))
    'noai'
    >>> robots_tag(["otherbot: noindex, noai"], datetime.now(UTC))
    """
    for value in values:
        for directive, argument in _for_us(value.lower()):
            if directive in REFUSING:
                return directive
            if directive == "unavailable_after" and _is_past(argument, now):
                return f"unavailable_after: {argument}"
    return None


def _for_us(header: str) -> Iterator[tuple[str, str]]:
    """Directives that speak to us or to all, each with its value."""
    speaks_to_us = True
    items = iter(header.split(","))
    for item in items:
        name, colon, rest = (part.strip() for part in item.partition(":"))
        if colon and not name.startswith(WITH_VALUE):
            speaks_to_us = name in (CRAWLER, "*")
            name, _, rest = (part.strip() for part in rest.partition(":"))
        if name == "unavailable_after" and not any(map(str.isdigit, rest)):
            rest = f"{rest},{next(items, '')}"  # "Sat, 21 Nov 2026": a comma inside the date
        if speaks_to_us:
            yield name, rest


def _is_past(date: str, now: datetime) -> bool:
    """Dates as in e-mail (RFC 822, RFC 850) and ISO 8601; any other text is no date."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(date.upper())
            return moment.replace(tzinfo=moment.tzinfo or UTC) < now
        except (ValueError, OverflowError):
            continue
    return False


def _tdm_reservation(values: Sequence[str], _now: datetime) -> str | None:
    return "1" if any(value.strip() == "1" for value in values) else None


def _content_usage(values: Sequence[str], _now: datetime) -> str | None:
    return reserved_use(",".join(values))


SIGNALS: tuple[tuple[str, Callable[[Sequence[str], datetime], str | None]], ...] = (
    ("X-Robots-Tag", robots_tag),
    ("TDM-Reservation", _tdm_reservation),
    ("Content-Usage", _content_usage),
)
"""Header and the function that finds what in its values decides against us."""
