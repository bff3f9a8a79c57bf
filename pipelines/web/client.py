"""The guarded fetcher: many URLs in, for each its bytes or the reason why there are none.

    URL ── checked ──> lists ──> robots.txt ──> host's turn ──> one of all places ──> dial, guarded
             ^                                                                              │
             └──── redirect, checked again ──── headers: opt-outs ──> body <────────────────┘

A host's turn is waited for before one of all places is taken, so a slow host never holds what
others wait for. A body keeps its place among all until its taker is done with it: that bounds
memory.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from aiohttp.abc import AbstractResolver
from yarl import URL

from pipelines.fetching.refused import Refused
from pipelines.web.answers import Answer
from pipelines.web.bodies import read_picture, read_robots_body
from pipelines.web.fetched import Fetched
from pipelines.web.hosts import HostGates
from pipelines.web.lists import Lists
from pipelines.web.optout import MAX_SIGNAL_CHARS
from pipelines.web.places import Places
from pipelines.web.resolver import CachingResolver
from pipelines.web.responses import MAY_PASS
from pipelines.web.robots_cache import RobotsCache
from pipelines.web.session import IDLE_CONNECTION_S, GuardedSession, ReadBody
from pipelines.web.settings import FetchSettings
from pipelines.web.urls import checked_url, redirect_target


async def fetch_many(
    urls: Sequence[str | None], settings: FetchSettings, on_done: Callable[[int], None]
) -> list[Fetched]:
    """Fetch every URL and hold every body at once, in the order of `urls`.

    Args:
        on_done: called with 1 for each URL that has ended.

    Raises:
        ContactRequired: an address outside the allowed networks would be dialled without a contact.
    """
    results: list[Fetched | None] = [None] * len(urls)

    async def keep(index: int, fetched: Fetched) -> None:
        results[index] = fetched
        on_done(1)

    await fetch_each(urls, settings, keep)
    return [fetched for fetched in results if fetched is not None]


async def fetch_each(
    urls: Sequence[str | None],
    settings: FetchSettings,
    receive: Callable[[int, Fetched], Awaitable[None]],
    lists: Lists | None = None,
) -> None:
    """Fetch every URL and await `receive(index, fetched)` once for each, as they end.

    At most `settings.total_concurrency` bodies are under way or in the hands of `receive`.
    """

    async def deliver(index: int, url: str | None) -> None:
        async with client.fetching(url) as fetched:
            await receive(index, fetched)

    async with Client(settings, lists=lists) as client:
        await run_together(deliver(index, url) for index, url in enumerate(urls))


async def run_together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all at once; the first that fails stops the others, and is what is raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for work in works:
                tasks.create_task(work)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


class Client:
    """One process's connections, caches, host gates and places; lives in one event loop.

    Args:
        resolver: stands in for the system's; what it answers is guarded like any other address.
        lists: opt-out lists, asked about the URL of every hop.
    """

    def __init__(
        self,
        settings: FetchSettings,
        resolver: AbstractResolver | None = None,
        lists: Lists | None = None,
    ) -> None:
        self._settings = settings
        self._resolver = resolver
        self._lists = lists or Lists()
        self._places = Places(settings.total_concurrency)

    async def __aenter__(self) -> Self:
        settings = self._settings
        if self._resolver is None:
            self._resolver = CachingResolver(settings.dns_timeout_s)
        self._session = GuardedSession(settings, self._resolver)
        self._gates = HostGates(settings)
        self._robots = RobotsCache(self._ask_robots, settings.max_crawl_delay_s)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._robots.close()
        await self._session.close()
        assert self._resolver is not None
        await self._resolver.close()

    @property
    def has_free_place(self) -> bool:
        """A row that is ready to be asked for would not have to wait."""
        return not self._places.is_full

    @asynccontextmanager
    async def fetching(self, url: str | None) -> AsyncIterator[Fetched]:
        """What became of `url`; a body's place among all is kept until the block ends."""
        async with AsyncExitStack() as place:
            yield await self._fetch(url, place)

    async def _fetch(self, url: str | None, place: AsyncExitStack) -> Fetched:
        try:
            target = checked_url(url or "", self._settings)
        except Refused as refused:
            return Fetched(refused.reason)
        answer = await self._persist(target, place, self._ask_picture)
        return Fetched(
            answer.outcome,
            answer.body,
            str(answer.url),
            answer.status,
            answer.content_type,
            answer.signal,
            answer.robots,
        )

    async def _ask_robots(self, url: URL) -> Answer:
        """A robots.txt: through every guard and the host's turn, like any other request."""
        async with AsyncExitStack() as place:
            return await self._persist(url, place, self._ask_robots_hop)

    async def _persist(self, url: URL, place: AsyncExitStack, ask: "_Ask") -> Answer:
        """The last of as many attempts as are worth making."""
        for attempt in range(self._settings.max_retries + 1):
            answer = await self._follow(url, place, ask)
            wait_s = self._wait_s(answer, attempt)
            if wait_s is None:
                break
            await asyncio.sleep(wait_s)
        return answer

    def _wait_s(self, answer: Answer, attempt: int) -> float | None:
        """Seconds until the next attempt, or None where there is none."""
        settings = self._settings
        may_pass = answer.outcome in ("connect_failed", "truncated_body") or (
            answer.outcome.startswith("http_") and answer.status in MAY_PASS
        )
        asked_s = answer.retry_after_s or 0.0
        if answer.final or not may_pass or attempt == settings.max_retries:
            return None
        if asked_s > settings.max_retry_after_s:
            return None
        return max(asked_s, settings.retry_wait_s * 2.0**attempt)

    async def _follow(self, url: URL, place: AsyncExitStack, ask: "_Ask") -> Answer:
        """One attempt: ask, and follow redirects within the limits of number and time."""
        left_s = self._settings.total_timeout_s
        for _ in range(self._settings.max_redirects + 1):
            try:
                answer = await ask(url, left_s, place)
            except Refused as refused:
                return Answer(refused.reason, url, signal=refused.signal, final=True)
            if answer.location is None:
                break
            left_s -= answer.seconds
            try:
                url = redirect_target(url, answer.location, self._settings)
            except Refused as refused:
                signal = f"redirect to {answer.location}"[:MAX_SIGNAL_CHARS]
                return replace(answer, outcome=refused.reason, location=None, signal=signal)
        return answer

    async def _ask_picture(self, url: URL, left_s: float, place: AsyncExitStack) -> Answer:
        text = str(url)
        self._lists.refuse_url(text)
        robots = await self._robots.robots(url)
        try:
            robots.refuse(text)
        except Refused as refused:
            state = "disallowed" if refused.reason == "robots_disallow" else None
            return Answer(refused.reason, url, signal=refused.signal, robots=state, final=True)
        delay_s = robots.crawl_delay_s
        answer = await self._ask_in_turn(url, left_s, place, read_picture, delay_s)
        answer.robots = robots.state
        return answer

    async def _ask_robots_hop(self, url: URL, left_s: float, place: AsyncExitStack) -> Answer:
        self._lists.refuse_url(str(url))
        return await self._ask_in_turn(url, left_s, place, read_robots_body)

    async def _ask_in_turn(
        self,
        url: URL,
        left_s: float,
        place: AsyncExitStack,
        read_body: ReadBody,
        crawl_delay_s: float = 0.0,
    ) -> Answer:
        gate = self._gates.gate(url.raw_host or "")
        for_robots = read_body is read_robots_body

        async def take_place() -> None:
            await place.enter_async_context(self._places.place(for_robots=for_robots))

        async with gate.turn(take_place, crawl_delay_s):
            keep = gate.asks_again_within(IDLE_CONNECTION_S, sure=for_robots)
            answer = await self._session.ask(url, left_s, read_body, keep)
            gate.record(answer.outcome, answer.seconds, answer.retry_after_s)
        if answer.body is None:
            await place.aclose()
        return answer


_Ask = Callable[[URL, float, AsyncExitStack], Awaitable[Answer]]
