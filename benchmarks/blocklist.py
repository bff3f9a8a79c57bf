"""What a long list of perceptual hashes costs each picture: ours beside faiss and a plain scan.

    python benchmarks/blocklist.py [--hashes 1000000]

Random hashes are listed, and copies of some of them, a few bits off, are looked up, one at a time
as a fetch does. Prints for each way the seconds to make it ready, its memory in MiB and the median
over five rounds of the microseconds of one look-up; every way must find the same.
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipelines.web.near_hashes import NearHashes

Hashes = npt.NDArray[np.uint8]
Find = Callable[[Hashes], int]
ROUNDS = 5
KINDS = {"phash": (8, 3), "PDQ": (32, 31)}
"""Bytes of a hash, and the bits that may differ."""


def ours(listed: Hashes, distance: int) -> Find:
    near = NearHashes([row.tobytes() for row in listed], distance)
    return lambda asked: len(near.find(asked.tobytes()))


def scan(listed: Hashes, distance: int) -> Find:
    words = listed.view(np.uint64)

    def find(asked: Hashes) -> int:
        bits = np.bitwise_count(words ^ asked.view(np.uint64)).sum(axis=1, dtype=np.uint16)
        return int((bits <= distance).sum())

    return find


def with_faiss(listed: Hashes, distance: int) -> Find:
    faiss.omp_set_num_threads(1)
    index = faiss.IndexBinaryFlat(8 * listed.shape[1])
    index.add(listed)
    return lambda asked: len(index.range_search(asked[None], distance + 1)[2])


WAYS = {"ours": ours, "faiss.IndexBinaryFlat": with_faiss, "numpy scan": scan}


def measure(way: str, kind: str, rows: int, lookups: int) -> tuple[float, float, float, int]:
    """Seconds to make ready, MiB, microseconds of a look-up, hashes found."""
    size, distance = KINDS[kind]
    draws = np.random.default_rng(0)
    listed = draws.integers(0, 256, (rows, size), np.uint8)
    asked = draws.integers(0, 256, (lookups, size), np.uint8)
    asked[::2] = listed[: len(asked[::2])]
    asked[::2, 0] ^= 0b101
    before, start = _memory_mib(), time.perf_counter()
    find = WAYS[way](listed, distance)
    ready_s, rounds = time.perf_counter() - start, []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        found = sum(map(find, asked))
        rounds.append((time.perf_counter() - start) / lookups * 1e6)
    return ready_s, _memory_mib() - before, statistics.median(rounds), found


def _memory_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hashes", type=int, default=1_000_000, help="how many are listed")
    parser.add_argument("--lookups", type=int, default=100, help="pictures of a round")
    args = parser.parse_args(argv)
    print(f"{args.hashes:,} hashes; seconds to make ready, MiB at most, microseconds a picture")
    for kind in KINDS:
        found = set()
        for way in WAYS:
            with get_context("spawn").Pool(1) as pool:  # each way has a process of its own
                one = pool.apply(measure, (way, kind, args.hashes, args.lookups))
            found.add(one[3])
            print(f"{kind:6} {way:22} {one[0]:6.2f} s {one[1]:7.0f} MiB {one[2]:9.0f} us")
        assert len(found) == 1, found
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
