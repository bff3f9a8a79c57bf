"""Every close pair, each once, whatever the hashes."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.selecting.clusters import span_pairs
from pipelines.selecting.hamming import close_pairs, cut_blocks, greatest_distance, tile_pairs

words = st.integers(0, 2**64 - 1)


def search_all(hashes, max_distance):
    return {
        (one, other)
        for one in hashes
        for other in hashes
        if one < other and (one ^ other).bit_count() <= max_distance
    }


def find(hashes, max_distance):
    array = np.array(sorted(hashes), np.uint64)
    return [
        tuple(sorted(pair))
        for first in range(max_distance + 1)
        for left, right in close_pairs(array, first, max_distance)
        for pair in zip(left.tolist(), right.tolist(), strict=True)
    ]


@st.composite
def neighbours(draw):
    """Hashes that lie few bits from one another."""
    hashes = set(draw(st.lists(words, min_size=1, max_size=4)))
    for _ in range(draw(st.integers(0, 25))):
        word = draw(st.sampled_from(sorted(hashes)))
        for bit in draw(st.lists(st.integers(0, 63), max_size=8)):
            word ^= 1 << bit
        hashes.add(word)
    return hashes


@settings(deadline=None)
@given(hashes=neighbours(), max_distance=st.integers(0, 7))
@example(hashes={0, 1, 3, 7, 15}, max_distance=3)
@example(hashes={0, (1 << 51) | (1 << 38) | (1 << 25)}, max_distance=3)
def test_finds_every_close_pair_once(hashes, max_distance):
    found = find(hashes, max_distance)
    assert sorted(found) == sorted(search_all(hashes, max_distance))


@pytest.mark.parametrize("max_distance", [0, 1, 3, 7])
def test_finds_every_close_pair_of_one_that_has_them_all(max_distance):
    """Each set of bits to flip is another way past the blocks."""
    draws = np.random.default_rng(max_distance)
    base = int(draws.integers(2**63))
    flipped = {
        base ^ sum(1 << int(bit) for bit in draws.choice(64, max_distance, replace=False))
        for _ in range(300)
    }
    found = find({base} | flipped, max_distance)
    assert {pair for pair in found if base in pair} == {
        tuple(sorted((base, other))) for other in flipped - {base}
    }


def test_groups_too_large_to_slide_along_are_tiled():
    draws = np.random.default_rng(0)
    hashes = set(draws.integers(2**11, size=900).tolist())  # all but the last block are equal
    assert sorted(find(hashes, 3)) == sorted(search_all(hashes, 3))


@pytest.mark.parametrize("max_distance", range(8))
def test_blocks_cover_the_hash_and_are_about_equal(max_distance):
    blocks = cut_blocks(max_distance)
    assert len(blocks) == max_distance + 2
    assert sum(((1 << block.width) - 1) << block.shift for block in blocks) == 2**64 - 1
    assert max(b.width for b in blocks) - min(b.width for b in blocks) <= 1


@settings(deadline=None)
@given(st.lists(words, max_size=30), st.lists(words, max_size=30), st.integers(0, 64))
def test_tiles_compare_each_with_each(left, right, max_distance):
    found = set()
    for down, across, distances in tile_pairs(
        np.array(left, np.uint64), np.array(right, np.uint64), max_distance
    ):
        found |= set(zip(down.tolist(), across.tolist(), distances.tolist(), strict=True))
    assert found == {
        (i, j, (one ^ other).bit_count())
        for i, one in enumerate(left)
        for j, other in enumerate(right)
        if (one ^ other).bit_count() <= max_distance
    }


@settings(deadline=None)
@given(st.lists(words, min_size=1, max_size=30))
def test_the_greatest_distance(hashes):
    most = max((one ^ other).bit_count() for one in hashes for other in hashes)
    assert greatest_distance(np.array(hashes, np.uint64)) == most


def test_the_greatest_distance_across_tiles():
    hashes = np.zeros(2_000, np.uint64)
    hashes[5], hashes[1_900] = 0xF, 0xF0
    assert greatest_distance(hashes) == 8


ADVERSARY = """
import numpy as np, resource
from pipelines.selecting.hamming import close_pairs
from pipelines.selecting.clusters import span_pairs
draws = np.random.default_rng(0)
hashes = np.unique(draws.integers(0, 2**51, 100_000, np.uint64) | np.uint64(5 << 51))
hot = np.unique(draws.integers(0, 2**38, 20_000, np.uint64))  # one key in a table: all are compared
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
edges, pairs = span_pairs(hashes, close_pairs(hashes, 0, 3))
edges, pairs = span_pairs(hot, close_pairs(hot, 0, 3))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_hundred_thousand_hashes_that_share_a_band_take_tens_of_megabytes():
    """Their 5 billion differences would take 40 GB."""
    done = subprocess.run(
        [sys.executable, "-c", ADVERSARY], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 64 * 1024, "kB"


def test_a_dense_cluster_is_handed_on_as_a_tree():
    """Half a million pairs of near hashes come out as one edge a hash."""
    hashes = np.unique(np.array([1 << i | 1 << j for i in range(46) for j in range(46)], np.uint64))
    found = list(close_pairs(hashes, 0, 7))
    edges, pairs = span_pairs(hashes, found)
    assert pairs == sum(len(left) for left, _ in found) > 100_000
    assert len(edges) == len(hashes) - 1
    assert set(edges[:, 1].tolist()) == {int(hashes[0])}
