"""Things that are made before they are asked for: in one thread in order, or several at once.

All threads are daemons: one that a dead file system holds for ever does not hold the program.
"""

import contextlib
import queue
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
    """Runs an iterator in one thread, a few items ahead, and hands its error on."""

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
        self._queue: queue.Queue[Item] = queue.Queue(depth)
        self._timeout_s, self._say_where = timeout_s, say_where
        self._stopped = threading.Event()
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
        deadline_s = time.monotonic() + self._timeout_s
        while True:
            alive = self._thread.is_alive()
            try:
                return self._queue.get(timeout=POLL_S if alive else 0.001)
            except queue.Empty:
                self._give_up_if_hopeless(alive, deadline_s)

    def _give_up_if_hopeless(self, alive: bool, deadline_s: float) -> None:
        if self._error is not None and not alive:
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
        self._stopped.set()
        with contextlib.suppress(queue.Empty):
            self._queue.get_nowait()  # room for what the thread is about to put: it goes on at once
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self, items: Iterator[Item]) -> None:
        try:
            for item in items:
                self._put(item)
                if self._stopped.is_set():
                    return
        except BaseException as err:  # raised by get()
            self._error = err

    def _put(self, item: Item) -> None:
        while not self._stopped.is_set():
            try:
                return self._queue.put(item, timeout=POLL_S)
            except queue.Full:
                continue
