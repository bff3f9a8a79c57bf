"""Whether a response's `X-Robots-Tag` asks crawlers like ours to leave the picture alone.

A header holds directives parted by commas. `name: directive` speaks to the crawler of that name
alone, and so do the directives after it, up to the next name; a colon after a directive that takes
a value (`max-image-preview: large`) names nobody.
"""

from collections.abc import Iterable, Iterator

CRAWLER = "pairmill"
REFUSING = frozenset({"noai", "noimageai", "noml", "noindex", "noimageindex", "none"})
"""Directives that are honoured; `none` is short for noindex and nofollow."""
WITH_VALUE = frozenset(
    {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}
)


def opts_out(headers: Iterable[str]) -> bool:
    """One of the `X-Robots-Tag` header values holds a refusal that speaks to us or to all.

    >>> opts_out(["max-image-preview:large, noai"]), opts_out(["otherbot: noindex, noai"])
    (True, False)
    """
    return any(directive in REFUSING for header in headers for directive in _for_us(header))


def _for_us(header: str) -> Iterator[str]:
    speaks_to_us = True
    for item in header.lower().split(","):
        name, colon, rest = item.partition(":")
        directive = name.strip()
        if colon and directive not in WITH_VALUE:
            speaks_to_us = directive in (CRAWLER, "*")
            directive = rest.strip()
        if speaks_to_us:
            yield directive
