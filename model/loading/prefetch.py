"""Things that are made before they are asked for: in one thread in order, or several at once.

All threads are daemons: one that a dead file system holds for ever does not hold the program.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Request = TypeVar("Request")

POLL_S = 0.1
CLOSE_TIMEOUT_S = 5.0
"""How long `close` waits for a thread that is in the middle of something."""


def prefetch(
    make: Callable[[Request], Item], requests: Iterable[Request], depth: int
) -> Iterator[Item]:
    """`make(request)` of each, in order, up to `depth` of them under way at once.

    With a depth of 0 each is made when it is asked for, in the caller's own thread.
    """
    waiting: deque[Future[Item]] = deque()
    for request in requests:
        if depth == 0:
            yield make(request)
            continue
        waiting.append(_start(make, request))
        if len(waiting) > depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _start(make: Callable[[Request], Item], request: Request) -> Future[Item]:
    future: Future[Item] = Future()

    def run() -> None:
        try:
            future.set_result(make(request))
        except BaseException as err:  # raised again by result()
            future.set_exception(err)

    threading.Thread(target=run, name="prefetch", daemon=True).start()
    return future


class Background(Generic[Item]):
    """Runs an iterator in one thread, some items ahead, and hands its error on.

    Who has to wait is woken when half of the room is filled, or free: to change from one thread to
    the other costs as much as a small batch.
    """

    def __init__(
        self,
        items: Iterator[Item],
        depth: int,
        timeout_s: float,
        say_where: Callable[[], str] = str,
    ) -> None:
        """
        Args:
            depth: most items that wait.
            timeout_s: of one item; `get` then raises.
            say_where: what the thread is at, for the message.
        """
        self._ready: deque[Item] = deque()
        self._depth, self._half = depth, max(1, depth // 2)
        self._changed = threading.Condition()
        self._timeout_s, self._say_where = timeout_s, say_where
        self._stopped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(items,), daemon=True)
        self._thread.start()

    def get(self) -> Item:
        """The next item.

        Raises:
            TimeoutError: none has come in time; the thread hangs.
            RuntimeError: the thread is gone without a word.
            Exception: whatever the iterator has raised, each time.
        """
        with self._changed:
            if not self._ready:
                self._wait_for_items()
            item = self._ready.popleft()
            if len(self._ready) == self._depth - self._half:
                self._changed.notify_all()
        return item

    def _wait_for_items(self) -> None:
        """Until half of the room is filled, or a moment has passed and there is one."""
        deadline_s = time.monotonic() + self._timeout_s
        while not self._ready:
            alive = self._thread.is_alive()
            self._changed.wait_for(self._is_half_filled, POLL_S if alive else 0.0)
            if not self._ready:
                self._give_up_if_hopeless(alive, deadline_s)

    def _is_half_filled(self) -> bool:
        return len(self._ready) >= self._half or self._error is not None

    def _give_up_if_hopeless(self, alive: bool, deadline_s: float) -> None:
        if self._error is not None:
            raise self._error
        if not alive:
            raise RuntimeError(f"the reading thread has died{self._where()}")
        if time.monotonic() >= deadline_s:
            raise TimeoutError(
                f"no batch could be read for {self._timeout_s:g} s: the reading thread "
                f"hangs{self._where()}"
            )

    def _where(self) -> str:
        where = self._say_where()
        return f" at {where}" if where else ""

    def close(self) -> None:
        """Stop; a thread that hangs is left behind."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self, items: Iterator[Item]) -> None:
        try:
            for item in items:
                self._put(item)
                if self._stopped:
                    return
        except BaseException as err:  # raised by get()
            with self._changed:
                self._error = err
                self._changed.notify_all()

    def _put(self, item: Item) -> None:
        with self._changed:
            if len(self._ready) >= self._depth:
                self._changed.wait_for(self._has_room)
            self._ready.append(item)
            if len(self._ready) >= self._half:
                self._changed.notify_all()

    def _has_room(self) -> bool:
        return len(self._ready) <= self._depth - self._half or self._stopped
