"""One call's rows on their way through img2dataset, from its opener to its writer.

img2dataset's threads take rows in the order in which these arrive: a ticket is good for one row,
whichever it is. All rows are given to the client at the start, as our own engine gives them, so a
slow host's rows wait in its queue and in no thread, and each host's budget counts from the start.
"""

import asyncio
import io
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, TypeVar
from urllib.error import URLError

from pipelines.web.client import Client, run_together
from pipelines.web.fetched import Fetched

LOST = Fetched("internal_error", signal="img2dataset lost the row")

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A row that has been fetched and keeps its place until it is released."""

    position: int
    fetched: Fetched
    released: asyncio.Event


class Run(Generic[T]):
    """The rows of one call: the opener takes them from it, and it is img2dataset's writer.

    Begins to fetch when it is made.
    """

    def __init__(
        self,
        urls: Sequence[str | None],
        client: Client,
        loop: asyncio.AbstractEventLoop,
        describe: Callable[[int, Fetched], T],
        receive: Callable[[int, T], None],
    ) -> None:
        self.num_rows = len(urls)
        self._client, self._loop = client, loop
        self._describe, self._receive = describe, receive
        self._arrived: SimpleQueue[_Arrived | None] = SimpleQueue()  # None: nothing more comes
        self._described: dict[int, tuple[int, T]] = {}  # by ticket: position, what is kept
        self._unused = set(range(len(urls)))
        self._missing = set(range(len(urls)))
        self._failure: Exception | None = None
        self._fetching = asyncio.run_coroutine_threadsafe(self._fetch_all(urls), loop)
        self._fetching.add_done_callback(lambda _ended: self._arrived.put(None))

    def open(self, ticket: int) -> io.BytesIO:
        """Describe the next row; an empty response, for img2dataset to carry back."""
        self._unused.remove(ticket)  # or a second try would take another ticket's row
        arrived = self._arrived.get()
        if arrived is None:
            self._arrived.put(None)  # for the next who waits
            raise URLError("no row is left")
        with self._noting_failure():
            try:
                found = self._describe(arrived.position, arrived.fetched)
            finally:
                self._loop.call_soon_threadsafe(arrived.released.set)
        self._described[ticket] = arrived.position, found
        if arrived.fetched.body is None:
            raise URLError(arrived.fetched.outcome)
        return io.BytesIO()

    def write(self, _image: bytes | None, _key: str, _caption: None, row: dict[str, Any]) -> None:
        """Called by img2dataset for each ticket that it has come to the end of."""
        ticket = int(row["url"].rpartition(":")[2])
        if ticket in self._described:
            position, found = self._described.pop(ticket)
            with self._noting_failure():
                self._receive(position, found)
            self._missing.discard(position)

    def close(self) -> None:
        """Called by img2dataset after the last row."""

    def stop(self, failure: Exception) -> None:
        """Break off what is under way, for what comes first."""
        self._failure = self._failure or failure
        self._fetching.cancel()

    def finish(self) -> None:
        """Raise what stopped the run, or receive the rows that img2dataset has lost."""
        if self._failure is not None:
            raise self._failure
        if self._fetching.done() or not self._missing:
            self._fetching.result()  # raises what ended it early
        else:
            self._fetching.cancel()  # nobody has come for what is left
        if self._missing:
            logger.warning("img2dataset lost %d of %d rows", len(self._missing), self.num_rows)
        for position in sorted(self._missing):
            self._receive(position, self._describe(position, LOST))

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        """img2dataset takes every exception for one row's bad luck; ours end the run."""
        if self._failure is not None:
            raise self._failure
        try:
            yield
        except Exception as err:
            self.stop(err)
            raise

    async def _fetch_all(self, urls: Sequence[str | None]) -> None:
        await run_together(self._fetch(position, url) for position, url in enumerate(urls))

    async def _fetch(self, position: int, url: str | None) -> None:
        async with self._client.fetching(url) as fetched:
            arrived = _Arrived(position, fetched, asyncio.Event())
            self._arrived.put(arrived)
            await arrived.released.wait()
