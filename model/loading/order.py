"""In which order an epoch reads a corpus: a function of (seed, epoch) alone.

The row groups are permuted, cut into windows of a few, and the rows of a window are permuted among
themselves. So the order does not depend on the number of ranks, and any place in it is found
without reading what comes before. Encode has sorted the shards by a keyed hash already: that two
rows of a batch share a row group says nothing about them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tokens.draw import keyed_generator

WINDOW_GROUPS = 8
"""Row groups shuffled together: 33 MB of codes at 2,048 rows of 1,024."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group of every view's file series."""

    file: int
    index: int
    """Of the group in its file."""
    rows: int


@dataclass(frozen=True, slots=True)
class Window:
    """A few row groups and the order of their rows, one group after another counted."""

    groups: tuple[RowGroup, ...]
    order: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is still to be read of one window."""

    epoch: int
    window: Window
    first: int
    """Rows of the window's order that are used up."""


def epoch_windows(groups: Sequence[RowGroup], seed: int, epoch: int) -> Iterator[Window]:
    """The windows of one epoch, in order."""
    key = f"epoch {epoch}".encode()
    shuffled = keyed_generator(key, "row_groups", seed).permutation(len(groups))
    for start in range(0, len(groups), WINDOW_GROUPS):
        window = tuple(groups[i] for i in shuffled[start : start + WINDOW_GROUPS])
        generator = keyed_generator(key, f"window {start}", seed)
        yield Window(window, generator.permutation(sum(group.rows for group in window)))


def stretches(
    groups: Sequence[RowGroup], seed: int, epoch: int, used: int = 0
) -> Iterator[Stretch]:
    """All windows from one place on, epoch after epoch without end.

    Args:
        used: rows of `epoch` that are used up.
    """
    while True:
        for window in epoch_windows(groups, seed, epoch):
            if used < len(window.order):
                yield Stretch(epoch, window, used)
            used = max(0, used - len(window.order))
        epoch += 1


def largest_window(groups: Sequence[RowGroup]) -> int:
    """Rows that a window of these groups has at most."""
    return sum(sorted((group.rows for group in groups), reverse=True)[:WINDOW_GROUPS])


def shared_group_chance(groups: Sequence[RowGroup], window_groups: int | None = None) -> float:
    """The probability that two rows of one window, drawn at random, share a row group.

    Of a window of k groups of r rows it is (r - 1) / (k r - 1), about 1/k; the figure is the mean
    over an epoch's windows, by rows, with the groups in the order given. A batch lies within one
    window but for the few that straddle two. 1.0 where nothing is shuffled, 0.0 for single rows.

    >>> groups = [RowGroup(0, index, 2048) for index in range(16)]
    >>> round(shared_group_chance(groups), 3), round(shared_group_chance(groups, 1), 3)
    (0.125, 1.0)
    """
    size = window_groups or WINDOW_GROUPS
    total = shared = 0.0
    for start in range(0, len(groups), size):
        rows = np.array([group.rows for group in groups[start : start + size]], np.float64)
        window = rows.sum()
        total += window
        if window > 1:
            shared += window * float((rows * (rows - 1)).sum()) / (window * (window - 1))
    return float(shared / total) if total else 0.0
