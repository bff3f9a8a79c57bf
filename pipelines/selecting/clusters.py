"""Clusters: what is connected by pairs, by union-find in numpy.

`parents[i]` is the first member of i's cluster, always at once and never through others, so
looking up is one step for whole arrays of pairs. Joining hooks the later root to the earlier one
for all pairs together, then shortens all paths; a few rounds do.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]

PAIRS_AT_A_TIME = 1 << 20
"""Pairs that wait before they are joined: 16 MB."""


def connect(parents: Places, left: Places, right: Places) -> None:
    """Join the clusters of each pair, in place."""
    while True:
        left, right = parents[left], parents[right]
        apart = left != right
        if not apart.any():
            return
        left, right = left[apart], right[apart]
        np.minimum.at(parents, np.maximum(left, right), np.minimum(left, right))
        _shorten(parents)


def _shorten(parents: Places) -> None:
    while not np.array_equal(above := parents[parents], parents):
        parents[:] = above


def span_pairs(
    values: npt.NDArray[np.uint64],
    pairs: Iterable[tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]],
) -> tuple[npt.NDArray[np.uint64], int]:
    """What connects the same values as `pairs`, and no more pairs than there are values.

    Args:
        values: sorted, each one once; every pair is of two of them.

    Returns:
        [M, 2]: each value that is not the smallest of its cluster, and that smallest one; and how
        many pairs there were.
    """
    parents = np.arange(len(values))
    count, waiting = 0, list[tuple[Places, Places]]()
    for left, right in pairs:
        count += len(left)
        places = np.searchsorted(values, left), np.searchsorted(values, right)
        apart = parents[places[0]] != parents[places[1]]
        waiting.append((places[0][apart], places[1][apart]))
        if sum(len(one) for one, _ in waiting) > PAIRS_AT_A_TIME:
            _connect_all(parents, waiting)
    _connect_all(parents, waiting)
    members = np.flatnonzero(parents != np.arange(len(parents)))
    return np.stack([values[members], values[parents[members]]], axis=1), count


def _connect_all(parents: Places, waiting: list[tuple[Places, Places]]) -> None:
    if waiting:
        left, right = (np.concatenate(side) for side in zip(*waiting, strict=True))
        connect(parents, left, right)
        waiting.clear()
