"""Which hosts a fetch would wait for, told before it starts.

A host's rate is known beforehand (`hosts.toml` and the settings), and so is its number of rows. A
host binds where a unit holds more of its rows than it can be asked for within `host_budget_s`, for
those beyond would end as `host_deferred`; or where its rows alone take more than an hour.

Memory: one unit's URLs at a time, and counts of MAX_HOSTS hosts. Where a list has more, the hosts
with the fewest rows are dropped and counted anew (lossy counting), which can only understate a
host, by as many rows as the largest host that was ever dropped had.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.web.rates import known_rates, share_of
from pipelines.web.settings import FetchSettings
from pipelines.web.urls import is_literal
from tokens.manifest import FileEntry, read_table

MAX_HOSTS = 1_000_000
"""Hosts that are counted, about 150 bytes each."""
WANTED = ("url", "outcome", "shard")
LONG_HOURS = 1.0
"""A host whose rows take longer is worth knowing of beforehand; our own choice."""
MAX_LINES = 10
"""Hosts that are named, those with the most hours."""


@dataclass(frozen=True, slots=True)
class BindingHost:
    """A host that the fetch would wait for."""

    host: str
    rows: int
    requests_per_s: float
    """All workers together."""
    deferred: int
    """Rows that would end as `host_deferred` in this pass, at most: where units that are open at
    once hold its rows in equal parts."""

    @property
    def hours(self) -> float:
        """What its rows take at its rate."""
        return self.rows / self.requests_per_s / 3600

    def line(self) -> str:
        return (
            f"{self.host}: {self.rows:,} rows at {self.requests_per_s:g}/s take "
            f"{self.hours:.1f} h; up to {self.deferred:,} end as host_deferred"
        )


@dataclass(frozen=True, slots=True)
class HostPlan:
    """The hosts that bind, those with the most hours first."""

    hosts: tuple[BindingHost, ...]
    rows: int
    """Rows of all hosts."""
    budget_s: float

    def lines(self) -> list[str]:
        """What to tell before the start; nothing where no host binds."""
        if not self.hosts:
            return []
        deferred = sum(host.deferred for host in self.hosts)
        more = len(self.hosts) - MAX_LINES
        count = "1 host binds" if len(self.hosts) == 1 else f"{len(self.hosts):,} hosts bind"
        return [
            f"{count}: up to {deferred:,} of {self.rows:,} rows would wait longer than "
            f"{self.budget_s:g} s for their host's turn; pipelines.retry takes them up",
            *(f"  {host.line()}" for host in self.hosts[:MAX_LINES]),
            *([f"  and {more:,} more hosts"] if more > 0 else []),
        ]


def plan_hosts(
    rows_folder: str,
    entries: Iterable[FileEntry],
    settings: FetchSettings,
    open_units: int = 1,
) -> HostPlan:
    """Count rows per host over units of rows that are still to be fetched.

    Args:
        open_units: units that one process has open at once, whose rows share a host's turns.
    """
    counts = HostCounts(settings, open_units)
    for entry in entries:
        counts.add_unit(_urls_to_fetch(read_table(rows_folder, entry, WANTED)))
    return counts.plan()


def _urls_to_fetch(rows: pa.Table) -> pa.ChunkedArray:
    """Of rows that no earlier fetch has ended, and whose picture is in no file yet."""
    to_fetch = pc.and_(rows["outcome"].is_null(), rows["shard"].is_null())
    return rows["url"].filter(to_fetch)


class HostCounts:
    """Rows per host, unit by unit."""

    def __init__(self, settings: FetchSettings, open_units: int = 1) -> None:
        self._settings = settings
        self._budget_s = settings.host_budget_s / open_units
        self._rows: Counter[str] = Counter()
        self._deferred: Counter[str] = Counter()
        self._total = 0
        slowest = min(rate.requests_per_s for rate in known_rates().values())
        longest_s = max(settings.host_delay_s, 1 / slowest) * settings.workers
        self._always_in_time = self._budget_s / longest_s

    def add_unit(self, urls: pa.ChunkedArray) -> None:
        """Count the rows of one unit."""
        self._total += len(urls)
        counted = count_hosts(urls)
        self._rows.update(counted)
        for host, rows in counted.items():
            if rows > self._always_in_time:
                self._deferred[host] += self._late_rows(host, rows)
        if len(self._rows) > MAX_HOSTS:
            self._rows = Counter(dict(self._rows.most_common(MAX_HOSTS // 2)))

    def plan(self) -> HostPlan:
        """The hosts that bind."""
        binding = [self._binding(host, rows) for host, rows in self._rows.items()]
        found = sorted(filter(None, binding), key=lambda host: (-host.hours, host.host))
        return HostPlan(tuple(found), self._total, self._settings.host_budget_s)

    def _late_rows(self, host: str, rows: int) -> int:
        """How many of one unit's rows come later than the budget; robots.txt has a turn, too."""
        delay_s = self._delay_s(host)
        in_time = int(self._budget_s / delay_s) if delay_s else rows
        return max(0, rows - in_time)

    def _binding(self, host: str, rows: int) -> BindingHost | None:
        deferred, delay_s = self._deferred[host], self._delay_s(host)
        if not delay_s:
            return None
        found = BindingHost(host, rows, self._settings.workers / delay_s, deferred)
        return found if deferred or found.hours > LONG_HOURS else None

    def _delay_s(self, host: str) -> float:
        """Seconds between two requests of one worker; 0 for hosts that are asked without limit."""
        if is_literal(host) and self._settings.guard.allows_by_hand(host):
            return 0.0
        return share_of(host, self._settings).delay_s


def count_hosts(urls: pa.ChunkedArray) -> dict[str, int]:
    """Rows per host, in lower case; what names no host is left out.

    >>> count_hosts(pa.chunked_array([["http://A.example/1", "https://a.example:8443/2", "no"]]))
    {'a.example': 2}
    """
    parts = pc.split_pattern(pc.utf8_ltrim_whitespace(pc.drop_null(urls)), "/", max_splits=3)
    parts = parts.filter(pc.greater_equal(pc.list_value_length(parts), 3))
    counted = pc.value_counts(pc.list_element(parts, 2))
    hosts: Counter[str] = Counter()
    for place, rows in zip(*map(pa.Array.to_pylist, counted.flatten()), strict=True):
        host = _host(place)
        if host:
            hosts[host] += rows
    return dict(hosts)


def _host(place: str) -> str:
    """The host in what stands between `//` and the next slash."""
    place = re.split(r"[?#\\]", place, maxsplit=1)[0].rpartition("@")[2].lower()
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place.partition(":")[0].strip()
