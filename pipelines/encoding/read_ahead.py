"""A function over a stream, computed by threads a little ahead of whoever reads it."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tokens.numerics import count_gpus

AHEAD = 64
"""Pictures that wait, two batches of a GPU's: 13 MB at 256 px."""

Item = TypeVar("Item")
Made = TypeVar("Made")


def map_ahead(
    function: Callable[[Item], Made], items: Iterable[Item], threads: int, ahead: int = AHEAD
) -> Iterator[Made]:
    """As `map`; with threads, `ahead` items are computed before they are asked for.

    Decoding and resizing let go of the interpreter's lock, so threads do for them.
    """
    if threads == 0:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        waiting: deque[Future[Made]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def feeding_threads(numerics: str) -> int:
    """Threads that decode for one encoding process: none on a CPU, where a process fills its core;
    this GPU's share of the cores on a GPU."""
    if not numerics.endswith("-cuda"):
        return 0
    return max(1, (os.cpu_count() or 1) // max(1, count_gpus()))
