"""Near duplicates among millions of perceptual hashes: seconds and memory, and faiss beside it.

    python benchmarks/near_duplicates.py --rows 1000000 10000000

Hashes as a corpus has them, not as a random generator has them: made of 64 normal draws whose
spread falls with frequency, as a picture's coefficients do, cut at their median as the hash cuts
them (so that the highest bit is all but constant and 31 or 32 bits are set); 20 % of rows are
copies of another row, half of them with an equal hash and half 1 to 3 bits off; 1 % share one of
five hashes, the flat pictures. For each number of rows the join's own steps run over units of
10,000 rows, `--processes` at a time, as `pipelines.build` runs them; files, their hashes and their
syncs included, signals and pairs not. Memory is the greatest of one process, Python included.

The peer searches by brute force: faiss's IndexBinaryFlat over all rows, for a sample of them, in
one thread, medians of `--rounds`; faiss's IndexBinaryHash, which looks up 16 bits and flips them,
answers the same. Both search where ours joins: their seconds are for the sample alone. Recall is
the share of the brute force's neighbours that have one cluster with the row in the join. CPU
seconds, because machines are shared; wall seconds stand beside them.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import join
from pipelines.commit import Output, Written, commit_file, require_record
from pipelines.selecting.candidates import item_output
from pipelines.selecting.hash_buckets import HASH, CollapseBucket, collapse, spread_hashes
from pipelines.selecting.near_duplicates import (
    MEMBER,
    AnswerUnits,
    BlockPart,
    FindPairs,
    JoinClusters,
    find_hashes,
)

MAX_DISTANCE = 3
UNIT_ROWS = 10_000
COPIES = 0.2
FLAT = 0.01
FLAT_HASHES = 5


def draw_hashes(rows: int, draws: np.random.Generator) -> np.ndarray:
    """uint64 hashes of pictures that have nothing to do with one another."""
    down, across = np.mgrid[:8, :8]
    spread = (1.0 / np.maximum(1.0, np.hypot(down, across))).ravel().astype(np.float32)
    parts = []
    for start in range(0, rows, 1 << 17):
        size = min(1 << 17, rows - start)
        coefficients = draws.standard_normal((size, 64), np.float32) * spread
        coefficients[:, 0] = 8.0  # the mean's: far above every other
        bits = coefficients > np.median(coefficients, axis=1, keepdims=True)
        parts.append(np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64))
    return np.concatenate(parts)


def draw_corpus(rows: int, seed: int = 0) -> np.ndarray:
    """uint64 hashes of a corpus's rows, with copies and flat pictures."""
    draws = np.random.default_rng(seed)
    hashes = draw_hashes(rows, draws)
    copies = draws.choice(rows, int(COPIES * rows), replace=False)
    originals = draws.integers(rows, size=len(copies))
    changed = hashes[originals].copy()
    for _ in range(MAX_DISTANCE):  # half of the copies get one to three other bits
        flips = np.uint64(1) << draws.integers(64, size=len(copies), dtype=np.uint64)
        changed ^= np.where(draws.random(len(copies)) < 0.2, flips, np.uint64(0))
    hashes[copies] = changed
    flat = draws.choice(rows, int(FLAT * rows), replace=False)
    hashes[flat] = draw_hashes(FLAT_HASHES, draws)[draws.integers(FLAT_HASHES, size=len(flat))]
    return hashes


@dataclass(frozen=True)
class ScatterSlice:
    """Stands for `ScatterHashes`: a unit's hashes come out of one array and not out of Parquet."""

    file: str
    folder: str
    buckets: int

    def output(self, item: int) -> Output:
        return item_output(self.folder, "hashes", item, [])

    def __call__(self, item: int) -> None:
        hashes = np.load(self.file, mmap_mode="r")[item * UNIT_ROWS : (item + 1) * UNIT_ROWS]
        records = np.zeros(len(hashes), HASH)
        records["hash"], records["row"] = hashes, np.arange(len(hashes))
        records["unit"], records["rows"] = item, 1
        records["area"] = 90_000 + records["hash"] % 7_919
        records = collapse(records)
        run = join.sort_into(records, spread_hashes(records["hash"], self.buckets), self.buckets)
        commit_file(
            self.output(item), lambda sink: join.write_runs(sink, run), Written(len(records))
        )


@dataclass(frozen=True)
class NearJoin:
    """The join's steps over an array of hashes, and where each leaves its files."""

    file: str
    folder: str
    rows: int

    def steps(self) -> Iterator[tuple[str, Any, list[Any]]]:
        buckets = join.choose_buckets(self.rows)
        numbers, units = list(range(buckets)), list(range(-(-self.rows // UNIT_ROWS)))
        scatter = ScatterSlice(self.file, self.folder, buckets)
        yield "scatter", scatter, units
        hashes = tuple(map(scatter.output, units))
        collapsing = CollapseBucket(self.folder, hashes, MAX_DISTANCE, buckets)
        yield "collapse", collapsing, numbers
        distinct = tuple(map(collapsing.output, numbers))
        find = FindPairs(self.folder, distinct, MAX_DISTANCE, buckets)
        parts = [BlockPart(block, part) for block in range(MAX_DISTANCE + 1) for part in numbers]
        yield "find pairs", find, parts
        joining = JoinClusters(self.folder, distinct, tuple(map(find.output, parts)))
        yield "join clusters", joining, [0]
        yield "answer", AnswerUnits(self.folder, hashes, distinct, joining.output(0)), numbers


def run_item(job: tuple[Any, Any]) -> tuple[int, float]:
    """Do an item; returns the greatest memory of this process so far, kB, and CPU seconds."""
    work, item = job
    start = time.process_time()
    work(item)
    seconds = time.process_time() - start
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, seconds


def run_join(file: str, rows: int, folder: str, processes: int) -> dict[str, Any]:
    """Seconds and CPU seconds per step, greatest memory of a process in MB, and what was found."""
    seconds, cpu, memory, counts = {}, {}, 0, {}
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.map(time.sleep, [0.1] * processes)  # their imports are no part of the join
        for name, work, items in NearJoin(file, folder, rows).steps():
            start = time.perf_counter()
            spent = pool.map(run_item, [(work, item) for item in items], chunksize=1)
            seconds[name] = round(time.perf_counter() - start, 2)
            cpu[name] = round(sum(used for _, used in spent), 2)
            memory = max(memory, *(peak for peak, _ in spent))
            if name == "join clusters":
                counts = require_record(work.output(0)).counts
    size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return {
        "rows": rows,
        "seconds": round(sum(seconds.values()), 1),
        "cpu_seconds": round(sum(cpu.values()), 1),
        "steps": {name: (seconds[name], cpu[name]) for name in seconds},
        "peak_mb_of_a_process": memory // 1024,
        "files_mb": size // 2**20,
        **counts,
    }


def read_members(file: str, rows: int, folder: str) -> np.ndarray:
    """Every hash of a cluster, in order."""
    work = [work for name, work, _ in NearJoin(file, folder, rows).steps() if name == "answer"][0]
    answers = [work.output(bucket) for bucket in range(join.choose_buckets(rows))]
    units = range(-(-rows // UNIT_ROWS))
    told = [join.read_slice(answer, unit, MEMBER) for answer in answers for unit in units]
    return np.unique(np.concatenate(told))


def compare_with_faiss(
    hashes: np.ndarray, members: np.ndarray, sample: int, rounds: int
) -> dict[str, Any]:
    """The sample's neighbours by brute force, and how many of them each way finds."""
    import faiss

    faiss.omp_set_num_threads(1)
    rows = np.random.default_rng(1).choice(len(hashes), sample, replace=False)
    codes = hashes.view(np.uint8).reshape(-1, 8)
    flat, hashed = faiss.IndexBinaryFlat(64), faiss.IndexBinaryHash(64, 16)
    flat.add(codes)
    start = time.process_time()
    hashed.add(codes)
    hashing = time.process_time() - start
    hashed.nflip = MAX_DISTANCE
    times: dict[str, list[float]] = {"flat": [], "hash": []}
    for _ in range(rounds):
        for name, index in (("flat", flat), ("hash", hashed)):
            start = time.process_time()
            limits, _, neighbours = index.range_search(codes[rows], MAX_DISTANCE + 1)
            times[name].append(time.process_time() - start)
            if name == "flat":
                found = limits, neighbours
            else:
                hash_found = len(neighbours)
    return {
        "sample": sample,
        "flat_cpu_seconds": round(statistics.median(times["flat"]), 2),
        "hash_cpu_seconds": round(statistics.median(times["hash"]), 2),
        "hash_build_cpu_seconds": round(hashing, 2),
        "neighbours": len(found[1]) - sample,
        "hash_recall": round(hash_found / len(found[1]), 4),
        "recall": measure_recall(hashes, members, rows, *found),
    }


def measure_recall(
    hashes: np.ndarray,
    members: np.ndarray,
    rows: np.ndarray,
    limits: np.ndarray,
    neighbours: np.ndarray,
) -> float:
    """The share of neighbours (other rows) that the join has put into the row's own cluster."""
    one, other = np.repeat(rows, np.diff(limits.astype(np.int64))), neighbours
    one, other = one[one != other], other[one != other]
    together = np.ones(len(one), bool)
    clusters = []
    for side in (one, other):
        found, places = find_hashes(members, hashes[side])
        together &= found
        clusters.append(np.zeros(len(side), np.uint64))
        clusters[-1][found] = members["cluster"][places]
    return float((together & (clusters[0] == clusters[1])).mean())


def measure(rows: int, args: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        hashes, file = draw_corpus(rows), f"{folder}/hashes.npy"
        np.save(file, hashes)
        found = run_join(file, rows, folder, args.processes)
        if args.sample:
            members = read_members(file, rows, folder)
            found["faiss"] = compare_with_faiss(hashes, members, args.sample, args.rounds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--sample", type=int, default=500, help="rows of the peer; 0: no peer")
    parser.add_argument("--rounds", type=int, default=5, help="of the peer")
    parser.add_argument("--folder", help="where files go; the system's temporary folder")
    args = parser.parse_args()
    for rows in args.rows:
        print(json.dumps(measure(rows, args), indent=1), flush=True)


if __name__ == "__main__":
    main()
