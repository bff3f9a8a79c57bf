"""Rows done so far, told from wherever the work happens to whoever shows it.

A worker process attaches a listener; a stage's plain function calls `advance` as rows end.
Without a listener (on a remote runner, in a test) `advance` does nothing.
"""

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tqdm import tqdm

TELL_EVERY_S = 0.2
"""A message for every row would cost more than the row's bookkeeping."""

_listener: Callable[[int], None] | None = None
_lock = threading.Lock()
_untold = 0
_told_at = 0.0


def attach(listener: Callable[[int], None] | None) -> None:
    """Send this process's progress to `listener` (rows since the last call)."""
    global _listener, _untold
    _listener, _untold = listener, 0


def advance(rows: int) -> None:
    """`rows` more rows are done. Safe from any thread."""
    global _untold
    with _lock:
        _untold += rows
        if time.monotonic() - _told_at >= TELL_EVERY_S:
            _tell()


def flush() -> None:
    """Tell what has not been told yet."""
    with _lock:
        _tell()


def _tell() -> None:
    global _untold, _told_at
    if _listener is not None and _untold:
        _listener(_untold)
    _untold, _told_at = 0, time.monotonic()


class ProgressLine:
    """A line on stderr with count, rate and time left; one every 10 s where it is no terminal."""

    def __init__(self, label: str, rows: int) -> None:
        terminal = sys.stderr.isatty()
        self._bar = tqdm(
            desc=label,
            total=rows,
            unit=" rows",
            unit_scale=rows > 100_000,
            mininterval=0.2 if terminal else 10.0,
            bar_format=None
            if terminal
            else "{desc}: {n_fmt}/{total_fmt} {rate_fmt}, {remaining} left\n",
            leave=True,
        )

    def advance(self, rows: int) -> None:
        if self._bar.n == 0:
            self._bar.unpause()  # the rate is that of the work, not of the workers' start
        self._bar.update(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()
