"""Places among all requests of a process: pictures go before robots.txt files.

A host's first picture follows its robots.txt by seconds, over the same connection, while that is
kept. Were all asked in the order in which they come, a unit of ten thousand hosts would have every
robots.txt read before the first picture, and each host dialled twice.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Places:
    """A counting lock with two queues; used in one event loop."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._first: deque[asyncio.Future[None]] = deque()
        self._then: deque[asyncio.Future[None]] = deque()

    @property
    def is_full(self) -> bool:
        """Who asks for a place now has to wait."""
        return self._free == 0

    @asynccontextmanager
    async def place(self, *, for_robots: bool) -> AsyncIterator[None]:
        """Wait for a place and hold it."""
        await self._take(self._then if for_robots else self._first)
        try:
            yield
        finally:
            self._give()

    async def _take(self, queue: deque[asyncio.Future[None]]) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the place was given to us at the same moment
                self._give()
            raise

    def _give(self) -> None:
        for queue in (self._first, self._then):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1
