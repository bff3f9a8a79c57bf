"""robots.txt (RFC 9309): what a host's owner lets crawlers ask for, how fast, and for what use.

Only the group that speaks to us is kept: all groups named `pairmill`, else all named `*`. Its
Allow, Disallow and Crawl-delay lines are protego's to read, whose matcher is linear in the URL.
Content-Usage lines (draft-ietf-aipref-attach-05) say which paths are kept from training; the same
matcher finds the longest path that fits.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from protego import Protego

from pipelines.fetching.refused import Refused
from pipelines.web.optout import CRAWLER, MAX_SIGNAL_CHARS
from pipelines.web.usage import reserved_use

MAX_ROBOTS_BYTES = 500 * 1024
"""What is read of a robots.txt; the rest is left aside (RFC 9309 section 2.5)."""
MAX_NAMED_RULES = 100
"""Disallow lines that are kept to say which one decided."""

_AGENT = frozenset({"user-agent", "useragent", "user agent"})
_OF_NO_GROUP = ("sitemap", "host")
_TOKEN = re.compile(r"[a-z_-]+|\*")


@dataclass(frozen=True, slots=True)
class Robots:
    """What the robots.txt of one origin says to us."""

    state: str = "none"
    """`allowed` where there is a robots.txt, `none` where there is none."""
    crawl_delay_s: float = 0.0
    rules: Protego | None = None
    usage: Protego | None = None
    """Paths kept from training, as Disallow lines."""
    disallowed: tuple[str, ...] = ()
    num_lines: int = 0
    """Lines of our group: what this record weighs."""
    refusal: tuple[str, str] | None = None
    """Reason and signal where no answer came: nothing of the host may be asked then."""

    def refuse(self, url: str) -> None:
        """Raise Refused unless `url` may be asked for and used."""
        if self.refusal is not None:
            raise Refused(*self.refusal)
        if self.rules is not None and not self.rules.can_fetch(url, CRAWLER):
            raise Refused("robots_disallow", self._name_rule(url))
        if self.usage is not None and not self.usage.can_fetch(url, CRAWLER):
            raise Refused("robots_disallow", "robots.txt: Content-Usage")

    def _name_rule(self, url: str) -> str:
        for path in self.disallowed:  # the longest first
            if not _one_rule(path).can_fetch(url, CRAWLER):
                return f"robots.txt: Disallow: {path}"[:MAX_SIGNAL_CHARS]
        return "robots.txt"


def read_robots(body: bytes, max_crawl_delay_s: float) -> Robots:
    """The rules in a robots.txt; a page of HTML has none."""
    text = body[:MAX_ROBOTS_BYTES].decode("utf-8", "replace").removeprefix("\ufeff")
    if text.lstrip().startswith("<"):
        return Robots()
    lines = our_group(text.splitlines())
    if not lines:
        return Robots("allowed")
    rules = Protego.parse("\n".join([f"User-agent: {CRAWLER}", *lines]))
    return Robots(
        "allowed",
        min(rules.crawl_delay(CRAWLER) or 0.0, max_crawl_delay_s),
        rules,
        _read_usage(lines),
        tuple(_longest_disallowed(lines)),
        len(lines),
    )


def our_group(lines: Sequence[str]) -> list[str]:
    """The rules of every group that names us, else of every group for `*` (RFC 9309 2.2.1).

    >>> our_group(["User-agent: *", "Disallow: /", "User-agent: PairMill/2", "Allow: /"])
    ['Allow: /']
    """
    groups: dict[str, list[str]] = {}
    ours: set[str] = set()
    rules_seen = False
    for line in (line.partition("#")[0].strip() for line in lines):
        field, value = _split(line)
        if field in _AGENT:
            ours = set() if rules_seen else ours
            rules_seen = False
            token = _TOKEN.match(value.lower())
            if token is not None and token[0] in (CRAWLER, "*"):
                ours.add(token[0])
                groups.setdefault(token[0], [])
        elif line and not field.startswith(_OF_NO_GROUP):
            rules_seen = True
            for name in ours:
                groups[name].append(line)
    return groups.get(CRAWLER, groups.get("*", []))


def _split(line: str) -> tuple[str, str]:
    """Field, in lower case, and value; the colon after a field is forgotten often enough."""
    field, colon, value = line.partition(":")
    if not colon:
        field, _, value = line.partition(" ")
    return field.strip().lower(), value.strip()


def _read_usage(lines: Sequence[str]) -> Protego | None:
    """Content-Usage lines as Disallow lines for what is kept from training, Allow for the rest."""
    reserved: dict[str, bool] = {}
    for path, preference in _usage_lines(lines):
        use = reserved_use(preference) is not None
        reserved[path] = reserved.get(path, False) or use  # of two that differ the stricter one
    if not any(reserved.values()):
        return None
    rules = [f"{'Disallow' if kept else 'Allow'}: {path}" for path, kept in reserved.items()]
    return Protego.parse("\n".join([f"User-agent: {CRAWLER}", *rules]))


def _usage_lines(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Path and preference; earlier drafts allowed a preference without a path, for all paths."""
    for field, value in map(_split, lines):
        if field == "content-usage":
            path, *preference = (value if value.startswith("/") else f"/ {value}").split(maxsplit=1)
            yield path, "".join(preference)


def _longest_disallowed(lines: Sequence[str]) -> list[str]:
    paths = {value for field, value in map(_split, lines) if field == "disallow" and value}
    return sorted(paths, key=len, reverse=True)[:MAX_NAMED_RULES]


@lru_cache(maxsize=4096)
def _one_rule(path: str) -> Protego:
    return Protego.parse(f"User-agent: {CRAWLER}\nDisallow: {path}")
