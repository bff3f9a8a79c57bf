"""One call's rows on their way through img2dataset, from its opener to its writer."""

import asyncio
import io
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from typing import Any, Generic, TypeVar
from urllib.error import URLError

from pipelines.web.client import Client, Fetched

LOST = Fetched("internal_error", signal="img2dataset lost the row")

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Run(Generic[T]):
    """The rows of one call: the opener asks it for them, and it is img2dataset's writer."""

    def __init__(
        self,
        urls: Sequence[str | None],
        client: Client,
        loop: asyncio.AbstractEventLoop,
        describe: Callable[[int, Fetched], T],
        receive: Callable[[int, T], None],
    ) -> None:
        self.urls = urls
        self._client, self._loop = client, loop
        self._describe, self._receive = describe, receive
        self._described: dict[int, T] = {}
        self._missing = set(range(len(urls)))
        self._held: set[futures.Future[None]] = set()
        self._failure: Exception | None = None

    def open(self, position: int) -> io.BytesIO:
        """Fetch and describe a row; an empty response, for img2dataset to carry back."""
        with self._noting_failure(), self._fetching(self.urls[position]) as fetched:
            self._described[position] = self._describe(position, fetched)
        if fetched.body is None:
            raise URLError(fetched.outcome)
        return io.BytesIO()

    def write(self, _image: bytes | None, _key: str, _caption: None, row: dict[str, Any]) -> None:
        """Called by img2dataset for each row that it has come to the end of."""
        position = int(row["url"].rpartition(":")[2])
        if position in self._described:
            with self._noting_failure():
                self._receive(position, self._described.pop(position))
            self._missing.discard(position)

    def close(self) -> None:
        """Called by img2dataset after the last row."""

    def stop(self, failure: Exception) -> None:
        """Break off what is under way, for what comes first."""
        self._failure = self._failure or failure
        for held in tuple(self._held):
            held.cancel()

    def finish(self) -> None:
        """Raise what stopped the run, or receive the rows that img2dataset has lost."""
        if self._failure is not None:
            raise self._failure
        if self._missing:
            logger.warning("img2dataset lost %d of %d rows", len(self._missing), len(self.urls))
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

    @contextmanager
    def _fetching(self, url: str | None) -> Iterator[Fetched]:
        """`client.fetching` for a thread that is not the event loop's."""
        arrived: futures.Future[Fetched] = futures.Future()
        released = asyncio.Event()

        async def hold() -> None:
            async with self._client.fetching(url) as fetched:
                arrived.set_result(fetched)
                await released.wait()

        held = asyncio.run_coroutine_threadsafe(hold(), self._loop)
        self._held.add(held)
        try:
            either: tuple[futures.Future[Any], ...] = (arrived, held)
            futures.wait(either, return_when=futures.FIRST_COMPLETED)
            if not arrived.done():
                held.result()  # raises
            yield arrived.result()
        finally:
            self._loop.call_soon_threadsafe(released.set)
            self._held.discard(held)
