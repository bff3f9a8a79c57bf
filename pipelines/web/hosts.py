"""What one host may cost: turns a few at a time and well apart, and none once it has died.

A turn is waited for without holding a place among all, so a slow host holds up its own rows alone:

    row ──> one of the host's slots ──> head of its queue ──> its time ──> a place among all ──> ask

The place is taken at the head of the queue, and the next turn counts from there: two requests never
begin closer together than the host's delay, however long both waited for a place. The clock is the
event loop's.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import islice

from pipelines.fetching.refused import Refused
from pipelines.web.rates import share_of
from pipelines.web.settings import FetchSettings
from pipelines.web.urls import is_literal

TakePlace = Callable[[], Awaitable[object]]

UNANSWERED = frozenset({"dns_failure", "connect_failed", "timeout"})
"""Outcomes of a dial that say that nobody is there."""
REST_S = 300.0
"""Seconds that a host with an open circuit is left alone before one row tries again (Nutch leaves
a host whose robots.txt fails alone for 5 minutes)."""
MAX_GATES = 20_000
"""Hosts that are remembered, about 600 bytes each; a host that is waited for is never forgotten."""
LOOK_BACK = 16
"""How many of the longest unused gates are looked at for one to forget."""


class HostGate:
    """The requests to one host from this process."""

    def __init__(self, host: str, settings: FetchSettings) -> None:
        self._host, self._settings = host, settings
        self._free = is_literal(host) and settings.guard.allows_by_hand(host)
        self._share = share_of(host, settings)
        self._slots = asyncio.Semaphore(self._share.concurrency)
        self._head = asyncio.Lock()
        self._now = asyncio.get_running_loop().time
        self._users, self._asking = 0, 0
        self._ready_at = self._now()
        self._delay_s = self._share.delay_s
        self._failures = 0
        self._rests_until = self._now()

    @property
    def idle(self) -> bool:
        """Nothing would be lost by forgetting this gate."""
        return not self._users and max(self._ready_at, self._rests_until) <= self._now()

    @asynccontextmanager
    async def turn(self, take_place: TakePlace, crawl_delay_s: float = 0.0) -> AsyncIterator[None]:
        """Wait for the host's turn, then `take_place()`, and hold one of the host's slots.

        A literal address in `guard.allow_networks` is asked without limit and delay.

        Args:
            crawl_delay_s: what robots.txt asks for, all workers together.

        Raises:
            Refused: `host_deferred` where the turn comes, or is bound to come, more than
                `host_budget_s` from now; `host_circuit_open` after `max_host_failures` dials in a
                row without an answer.
        """
        if self._free:
            self._enter_circuit()
            await take_place()
            yield
            return
        submitted, delay_s = self._now(), self._delay(crawl_delay_s)
        waiting = self._users - self._asking
        self._refuse_late(submitted, max(self._ready_at, submitted) + waiting * delay_s)
        self._users += 1
        try:
            async with self._slots:
                async with self._head:
                    await self._wait(submitted)
                    await take_place()
                    self._ready_at = max(self._ready_at, self._now() + self._delay(crawl_delay_s))
                self._asking += 1
                try:
                    yield
                finally:
                    self._asking -= 1
        finally:
            self._users -= 1

    def asks_again_within(self, seconds: float, *, sure: bool) -> bool:
        """Another request to the host is to begin so soon.

        Args:
            sure: that there is one; else it is looked for among those that wait.
        """
        if self._free:
            return True
        return self._delay_s <= seconds and (sure or self._users > self._asking)

    def record(self, outcome: str, seconds: float, retry_after_s: float | None) -> None:
        """Learn from the last answer: how long it took, and how long to leave the host alone."""
        now, settings = self._now(), self._settings
        if outcome in UNANSWERED:
            self._failures += 1
            self._rests_until = now + REST_S if self._circuit_open else now
        else:
            self._failures = 0
        rest_s = min(settings.max_host_delay_s, self._share.factor * seconds)
        self._delay_s = max(self._share.delay_s, seconds + rest_s if self._share.factor else 0.0)
        if retry_after_s is None and outcome == "http_429":
            retry_after_s = settings.max_host_delay_s  # too many requests, and no word for how long
        asked_s = min(retry_after_s or 0.0, settings.max_retry_after_s)
        self._ready_at = max(self._ready_at, now + max(rest_s, asked_s))

    @property
    def _circuit_open(self) -> bool:
        return self._failures >= self._settings.max_host_failures

    async def _wait(self, submitted: float) -> None:
        """At the head of the queue: until the host may be asked."""
        while True:
            self._refuse_dead()
            self._refuse_late(submitted, self._ready_at)
            wait_s = self._ready_at - self._now()
            if wait_s <= 0:
                break
            await asyncio.sleep(wait_s)  # what is asked now may put the turn off meanwhile
        self._enter_circuit()

    def _refuse_late(self, submitted: float, turn_at: float) -> None:
        wait_s = turn_at - submitted
        if wait_s > self._settings.host_budget_s:
            raise Refused("host_deferred", f"{self._host}: its turn came in {wait_s:.0f} s")

    def _refuse_dead(self) -> None:
        if self._circuit_open and self._now() < self._rests_until:
            raise Refused(
                "host_circuit_open", f"{self._host}: {self._failures} dials without an answer"
            )

    def _enter_circuit(self) -> None:
        """Pass, or be the one row that tries a host again after its rest."""
        self._refuse_dead()
        if self._circuit_open:
            self._rests_until = self._now() + REST_S

    def _delay(self, crawl_delay_s: float) -> float:
        return max(self._delay_s, crawl_delay_s * self._settings.workers)


class HostGates:
    """The gates of one process, by host name as it stands in the URL; used in one event loop."""

    def __init__(self, settings: FetchSettings) -> None:
        self._settings = settings
        self._gates: OrderedDict[str, HostGate] = OrderedDict()

    def __len__(self) -> int:
        return len(self._gates)

    def gate(self, host: str) -> HostGate:
        """The gate of `host`, opened at its first request."""
        gate = self._gates.get(host)
        if gate is None:
            self._forget_one()
            gate = self._gates[host] = HostGate(host, self._settings)
        self._gates.move_to_end(host)
        return gate

    def _forget_one(self) -> None:
        if len(self._gates) >= MAX_GATES:
            oldest = list(islice(self._gates.items(), LOOK_BACK))
            for host, gate in oldest:
                if gate.idle:
                    del self._gates[host]
