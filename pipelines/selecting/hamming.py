"""Pairs of 64-bit hashes that differ in few bits: every one of them, and each once.

Hashes are cut into `max_distance + 2` blocks. Two that differ in at most `max_distance` bits have
at least two blocks in common (the pigeonhole principle), so every close pair stands side by side
in one of the sorted tables, one for each two blocks, whose keys are those two blocks (Manku, Jain
and Das Sarma, "Detecting Near-Duplicates for Web Crawling", WWW 2007, section 3). For 3 bits that
is ten tables with keys of 25 or 26 bits. A pair counts in the table of its first two equal blocks
and in no other. Moving a block to the front is a permutation of bits: distances stay.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

Pairs = tuple[Hashes, Hashes]
"""The one and the other hash of each pair."""

HASH_BITS = 64

LARGE_GROUP = 256
"""Hashes with one key that are worth a tile; ours: below, numpy's overhead is more."""
TILE_ROWS, TILE_COLUMNS = 256, 1_024
"""Hashes that are compared at a time: 2 MB of differences, which stay in a core's cache."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some neighbouring bits of a hash."""

    shift: int
    """Bits below it."""
    width: int

    def of(self, hashes: Hashes) -> Hashes:
        return (hashes >> np.uint64(self.shift)) & np.uint64((1 << self.width) - 1)


def cut_blocks(max_distance: int) -> tuple[Block, ...]:
    """The blocks for a distance, the highest bits first; their widths differ by one at most."""
    count = max_distance + 2
    ends = [HASH_BITS * number // count for number in range(count, -1, -1)]
    return tuple(Block(low, high - low) for high, low in zip(ends, ends[1:], strict=False))


def close_pairs(hashes: Hashes, first: int, max_distance: int) -> Iterator[Pairs]:
    """Pairs at most `max_distance` bits apart whose first equal block is number `first`.

    Over all `first` up to `max_distance` that is every close pair of `hashes`, once. Takes about
    80 bytes a hash, and a tile: no more for hashes that are all in one group.

    Args:
        hashes: each one once.
    """
    blocks = cut_blocks(max_distance)
    for second in range(first + 1, len(blocks)):
        order = (first, second, *(n for n in range(len(blocks)) if n not in (first, second)))
        moved = np.sort(_gather_blocks(hashes, [blocks[number] for number in order]))
        key_bits = blocks[first].width + blocks[second].width
        fields = _place_blocks([blocks[number] for number in order])
        before = [fields[order.index(number)] for number in range(second) if number != first]
        for left, right in _near_neighbours(moved, key_bits, max_distance):
            ours = _differ_in_each(left ^ right, before)
            originals = [
                _spread_blocks(side[ours], blocks, fields, order) for side in (left, right)
            ]
            yield originals[0], originals[1]


def tile_pairs(
    left: Hashes, right: Hashes, max_distance: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]]]:
    """Compare each of `left` with each of `right`: places of close ones, and their distances.

    Holds one tile of comparisons at a time, whatever the lengths.
    """
    for row in range(0, len(left), TILE_ROWS):
        for column in range(0, len(right), TILE_COLUMNS):
            rows, columns = left[row : row + TILE_ROWS], right[column : column + TILE_COLUMNS]
            distances = np.bitwise_count(rows[:, None] ^ columns)
            found = np.flatnonzero(distances <= max_distance)
            if len(found):
                down, across = np.divmod(found, len(columns))
                yield down + row, across + column, distances.ravel()[found]


def greatest_distance(hashes: Hashes) -> int:
    """The most bits in which two of them differ."""
    most = 0
    for row in range(0, len(hashes), TILE_ROWS):
        for column in range(row, len(hashes), TILE_COLUMNS):
            rows, columns = hashes[row : row + TILE_ROWS], hashes[column : column + TILE_COLUMNS]
            most = max(most, int(np.bitwise_count(rows[:, None] ^ columns).max()))
    return most


def _near_neighbours(moved: Hashes, key_bits: int, max_distance: int) -> Iterator[Pairs]:
    """Close pairs among sorted hashes whose first `key_bits` are equal."""
    keys = moved >> np.uint64(HASH_BITS - key_bits)
    starts = np.concatenate([[0], np.flatnonzero(keys[1:] != keys[:-1]) + 1, [len(keys)]])
    sizes = np.diff(starts)
    large = sizes > LARGE_GROUP
    ends = np.repeat(np.where(large, 0, starts[1:]), sizes)
    yield from _slide(moved, ends, max_distance)
    for group in np.flatnonzero(large).tolist():
        yield from _tile_group(moved[starts[group] : starts[group + 1]], max_distance)


def _slide(moved: Hashes, ends: npt.NDArray[np.int64], max_distance: int) -> Iterator[Pairs]:
    """Compare each hash with its next neighbour, its next but one, ..., up to its group's end."""
    places = np.arange(len(moved))
    offset = 1
    while len(places := places[places + offset < ends[places]]):
        left, right = moved[places], moved[places + offset]
        near = np.bitwise_count(left ^ right) <= max_distance
        yield left[near], right[near]
        offset += 1


def _tile_group(group: Hashes, max_distance: int) -> Iterator[Pairs]:
    for start in range(0, len(group), TILE_ROWS):
        rows, rest = group[start : start + TILE_ROWS], group[start:]
        for down, across, _ in tile_pairs(rows, rest, max_distance):
            once = down < across
            yield rows[down[once]], rest[across[once]]


def _gather_blocks(hashes: Hashes, blocks: list[Block]) -> Hashes:
    """Each hash with its blocks in another order."""
    moved = np.zeros_like(hashes)
    for block in blocks:
        moved = (moved << np.uint64(block.width)) | block.of(hashes)
    return moved


def _place_blocks(blocks: list[Block]) -> list[Block]:
    """Where blocks lie once they stand in this order."""
    shift, placed = HASH_BITS, []
    for block in blocks:
        shift -= block.width
        placed.append(Block(shift, block.width))
    return placed


def _spread_blocks(
    moved: Hashes, blocks: tuple[Block, ...], fields: list[Block], order: tuple[int, ...]
) -> Hashes:
    """The hashes that `_gather_blocks` has moved."""
    hashes = np.zeros_like(moved)
    for field, number in zip(fields, order, strict=True):
        hashes |= field.of(moved) << np.uint64(blocks[number].shift)
    return hashes


def _differ_in_each(differences: Hashes, fields: list[Block]) -> npt.NDArray[np.bool_]:
    """True where no one of the blocks is equal."""
    differ = np.ones(len(differences), bool)
    for field in fields:
        differ &= field.of(differences) != 0
    return differ
