"""Ways to fetch in tests: by literal, by a name whose addresses are given, in virtual time."""

import asyncio
import selectors
import socket
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp.abc import AbstractResolver, ResolveResult

from pipelines.ledger import FETCH_OUTCOMES
from pipelines.web.client import Client, Fetched, fetch_many
from pipelines.web.settings import FetchSettings

DEADLINE_S = 0.6
Result = TypeVar("Result")


def fetch(urls: list[str | None], settings: FetchSettings) -> list[Fetched]:
    fetched = asyncio.run(fetch_many(urls, settings, lambda rows: None))
    assert {one.outcome for one in fetched} <= set(FETCH_OUTCOMES)
    return fetched


def fetch_one(url: str, settings: FetchSettings) -> Fetched:
    return fetch([url], settings)[0]


class Names(AbstractResolver):
    """A resolver whose successive answers for any name are given."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in answer
        ]

    async def close(self) -> None:
        pass


def fetch_by_name(url: str, settings: FetchSettings, names: Names) -> Fetched:
    async def run() -> Fetched:
        async with Client(settings, names) as client, client.fetching(url) as fetched:
            return fetched

    return asyncio.run(run())


async def fetch_all(client: Client, urls: list[str]) -> list[Fetched]:
    """Fetch at the same time; the answers stand in the order of `urls`."""

    async def one(url: str) -> Fetched:
        async with client.fetching(url) as fetched:
            return fetched

    return await asyncio.gather(*(one(url) for url in urls))


class SkippingSelector(selectors.DefaultSelector):
    """Waits a moment for what loopback brings, then says that the whole wait is over."""

    def __init__(self, patience_s: float) -> None:
        super().__init__()
        self.skipped_s, self.patience_s = 0.0, patience_s

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout <= self.patience_s:
            return super().select(timeout)
        events = super().select(self.patience_s)
        if not events:
            self.skipped_s += timeout - self.patience_s
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its clock jumps to the next timer as soon as nothing else is to be done."""

    def __init__(self, patience_s: float) -> None:
        self._skipping = SkippingSelector(patience_s)
        super().__init__(self._skipping)

    def time(self) -> float:
        return super().time() + self._skipping.skipped_s


def run_virtual(work: Coroutine[Any, Any, Result], patience_s: float = 0.01) -> Result:
    """asyncio.run in virtual time: servers must run in the same loop.

    Args:
        patience_s: how long sockets are waited for, in real seconds; 0 where there are none.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(patience_s)) as runner:
        return runner.run(work)
