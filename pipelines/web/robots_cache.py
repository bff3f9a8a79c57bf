"""Each origin's robots.txt, asked for once however many rows wait for it.

An answer is kept for a day at most (RFC 9309 section 2.4), a failure for five minutes. The clock is
the event loop's.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from yarl import URL

from pipelines.fetching.refused import Refused
from pipelines.ledger import OK
from pipelines.web.answers import Answer
from pipelines.web.robots import MAX_ROBOTS_BYTES, Robots, read_robots

KEEP_S = 24 * 3600.0
"""Seconds that rules are kept (RFC 9309 section 2.4)."""
KEEP_FAILURE_S = 300.0
"""Seconds after which a robots.txt that could not be had is asked for again (Nutch)."""
MAX_ORIGINS = 20_000
MAX_LINES = 100_000
"""Origins and lines of rules that are kept: a line is 400 to 800 bytes, so 100 MB at most."""
SLOW_BYTES = 32 * 1024
"""A longer file is read in a thread: 500 KiB take a third of a second."""

AS_FOR_THE_PICTURE = frozenset(
    {"dns_failure", "connect_failed", "tls_error", "ssrf_blocked", "port_not_allowed", "timeout"}
)
"""Failures of the dial, which the picture's request would meet as well: the row ends with them."""
OF_THE_MOMENT = frozenset({"host_deferred", "host_circuit_open", "optout_list"})
"""Outcomes that say nothing of the file and are not kept."""
NO_FILE = frozenset({"http_4xx", "http_404", "http_410", "too_many_redirects"})
"""No robots.txt: everything is allowed (RFC 9309 2.3.1.2, 2.3.1.3). 429 is none of them: a host
that is busy has not said yes (Google reads it so, too)."""


@dataclass(frozen=True, slots=True)
class _Kept:
    robots: Robots
    until: float


class RobotsCache:
    """What robots.txt says, by origin; used in one event loop.

    Args:
        ask: asks for the URL of a robots.txt, redirects followed, every guard and turn included.
        max_crawl_delay_s: longest Crawl-delay that is obeyed.
    """

    def __init__(self, ask: Callable[[URL], Awaitable[Answer]], max_crawl_delay_s: float) -> None:
        self._ask = ask
        self._max_crawl_delay_s = max_crawl_delay_s
        self._now = asyncio.get_running_loop().time
        self._kept: OrderedDict[URL, _Kept] = OrderedDict()
        self._asking: dict[URL, asyncio.Task[Robots]] = {}
        self._num_lines = 0

    async def robots(self, url: URL) -> Robots:
        """What the robots.txt of `url`'s scheme, host and port says.

        Raises:
            Refused: `host_deferred` or `host_circuit_open` where it could not be asked for yet.
        """
        origin = url.origin()
        kept = self._kept.get(origin)
        if kept is not None and kept.until > self._now():
            self._kept.move_to_end(origin)
            return kept.robots
        if origin not in self._asking:
            task = self._asking[origin] = asyncio.create_task(self._find(origin))
            task.add_done_callback(lambda done: self._end(origin, done))
        return await asyncio.shield(self._asking[origin])

    async def close(self) -> None:
        """Stop what is under way."""
        under_way = list(self._asking.values())
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    def _end(self, origin: URL, done: asyncio.Task[Robots]) -> None:
        del self._asking[origin]
        if not done.cancelled():
            done.exception()  # looked at, should every row that waited be gone

    async def _find(self, origin: URL) -> Robots:
        url = origin.with_path("/robots.txt")
        answer = await self._ask(url)
        if answer.outcome in OF_THE_MOMENT:
            raise Refused(answer.outcome, answer.signal)
        robots = await self._judge(url, answer)
        self._keep(origin, robots)
        other = answer.url.origin()
        if robots.rules is not None and answer.url == other.with_path("/robots.txt") != url:
            self._keep(other, robots)  # http led to https: its own file has been read as well
        return robots

    async def _judge(self, url: URL, answer: Answer) -> Robots:
        if answer.outcome == OK and answer.body is not None:
            body = answer.body[:MAX_ROBOTS_BYTES]
            if len(body) > SLOW_BYTES:
                return await asyncio.to_thread(read_robots, body, self._max_crawl_delay_s)
            return read_robots(body, self._max_crawl_delay_s)
        if answer.outcome in NO_FILE:
            return Robots()
        never_reached = not answer.reached and answer.url == url
        if never_reached and answer.outcome in AS_FOR_THE_PICTURE:
            return Robots(refusal=(answer.outcome, f"robots.txt: {answer.outcome}"))
        return Robots(refusal=("robots_unreachable", f"robots.txt: {answer.outcome}"))

    def _keep(self, origin: URL, robots: Robots) -> None:
        keep_s = KEEP_S if robots.refusal is None else KEEP_FAILURE_S
        self._forget(origin)
        self._kept[origin] = _Kept(robots, self._now() + keep_s)
        self._num_lines += robots.num_lines
        while len(self._kept) > 1 and (
            len(self._kept) > MAX_ORIGINS or self._num_lines > MAX_LINES
        ):
            self._forget(next(iter(self._kept)))

    def _forget(self, origin: URL) -> None:
        kept = self._kept.pop(origin, None)
        if kept is not None:
            self._num_lines -= kept.robots.num_lines
