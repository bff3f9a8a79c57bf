"""Training samples per second of one core: our loader against six others, in one run.

    uv venv --python 3.11 /tmp/loaders
    uv pip install --python /tmp/loaders/bin/python -e '.[model]' mosaicml-streaming webdataset \\
        'datasets>=4.8' litdata grain array_record
    /tmp/loaders/bin/python benchmarks/loader.py [--rounds 5] [--batch_sizes 64 512]

A drawn corpus of 98,304 pairs (1,024 codes of 8,192, captions of 29 tokens on average) is stored
once in each loader's own format, its files then in the page cache. Each loader is asked for
shuffled batches (text [B, 256], codes [B, 1024], 16 bits each), in one process without workers.
Timed is what comes after the first batch: whole windows of ours. All our checks are on: page
checksums, code and token ranges, lengths. CPU seconds are those of all threads; rounds alternate,
medians are printed. A loader that is not installed is named and left out.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
sys.path.insert(0, str(Path(__file__).parent))

from loading.loaders import LOADERS, Loader
from loading.rows import draw_shards

from model.loading.corpus import TokenCorpus
from model.loading.order import shared_group_chance

NUM_ROWS = 98_304


def store(loader: Loader, folder: Path) -> bool:
    """Write the corpus in the loader's format, once; False where it is not installed."""
    if folder.exists():
        return True
    temporary = folder.with_suffix(".part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        loader.write(temporary, draw_shards(NUM_ROWS), NUM_ROWS)
    except ImportError as err:
        print(f"{loader.name}: left out, not installed ({err})")
        return False
    temporary.rename(folder)
    return True


def bytes_per_sample(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / NUM_ROWS


def measure(loader: Loader, folder: Path, batch_size: int) -> tuple[float, float]:
    """Samples per CPU second and per second of the wall clock."""
    batches = loader.batches(folder, batch_size)
    next(batches)
    taken, wall_s, cpu_s = 0, time.perf_counter(), time.process_time()
    while taken < loader.samples:
        text, codes = next(batches)
        assert text.shape == (batch_size, 256) and codes.shape == (batch_size, 1024)
        taken += batch_size
    found = (
        taken / (time.process_time() - cpu_s),
        taken / (time.perf_counter() - wall_s),
    )
    if hasattr(batches, "close"):
        batches.close()
    return found


def run(folder: Path, names: list[str], batch_size: int, rounds: int) -> None:
    loaders = [one for one in LOADERS if one.name in names]
    found: dict[str, list[tuple[float, float]]] = {loader.name: [] for loader in loaders}
    for _ in range(rounds):
        for loader in loaders:
            found[loader.name].append(measure(loader, folder / slug(loader), batch_size))
    rates = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in found.items()
    }
    print(f"\nbatches of {batch_size}, medians of {rounds} alternating rounds")
    heads = ("per CPU s", "lowest-highest", "per s", "ours / it", "B/sample")
    print("{:32}{:>12}{:>20}{:>10}{:>11}{:>10}".format("", *heads))
    for loader in loaders:
        cpu, wall = rates[loader.name]
        ratio = rates[loaders[0].name][0] / cpu
        each = [row[0] for row in found[loader.name]]
        stored = bytes_per_sample(folder / slug(loader))
        span = f"{min(each):,.0f}-{max(each):,.0f}"
        print(f"{loader.name:32}{cpu:12,.0f}{span:>20}{wall:10,.0f}{ratio:11.2f}{stored:10,.0f}")


def slug(loader: Loader) -> str:
    return type(loader).__name__


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--folder", help="keeps the stored corpora; default: a temporary one")
    parser.add_argument("--only", nargs="+", default=[], help="parts of loaders' names")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        asked = [
            one
            for one in LOADERS
            if not args.only or any(part in one.name for part in (LOADERS[0].name, *args.only))
        ]
        names = [loader.name for loader in asked if store(loader, folder / slug(loader))]
        groups = TokenCorpus(str(folder / slug(LOADERS[0]))).groups("train")
        print(
            f"two samples of a batch of ours share a row group with chance "
            f"{shared_group_chance(groups):.3f}"
        )
        for batch_size in args.batch_sizes:
            run(folder, names, batch_size, args.rounds)


if __name__ == "__main__":
    main()
