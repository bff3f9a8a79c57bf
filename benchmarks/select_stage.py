"""The whole select stage under a recipe, step by step: what another threshold costs.

    python benchmarks/select_stage.py --rows 1000000 --recipe strict

Pairs and signals are made up and lie in files as fetch and score leave them, in units of 10,000
rows (without pictures, which select never reads): 30 % of rows failed in fetch, each signal of a
rule breaks it in 2 % of the others, captions repeat as Zipf's law has it, and perceptual hashes are
those of `near_duplicates.py`, with copies and flat pictures. The job is the one that a build runs,
its items `--processes` at a time. CPU seconds stand beside those of the clock, because machines
are shared.

No file here may be called select.py: it would replace Python's own module for every script in this
folder.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from near_duplicates import draw_corpus, run_item

from filters.signals import RULE_SIGNAL_TYPES
from pipelines.commit import Written, commit_table, unit_output
from pipelines.recipe import Recipe, load_recipe
from pipelines.select_pairs import plan_select
from pipelines.web.settings import FetchSettings
from tokens.manifest import Manifest

UNIT_ROWS = 10_000
FAILED = 0.3
BREAKS = 0.02

PASSES: dict[str, tuple[Any, Any]] = {
    "aspect_ratio": (1.3, 5.0),
    "animated": (False, True),
    "body_bytes": (60_000, 10),
    "border_ratio": (0.0, 1.0),
    "caption_chars": (60, 1),
    "caption_tokens": (20, 1_000),
    "caption_words": (10, 0),
    "cld2_language": ("en", "de"),
    "cld2_reliable": (True, True),
    "cld3_language": ("en", "de"),
    "cld3_probability": (0.99, 0.99),
    "entropy_bits": (7.0, 0.0),
    "jpeg_quality": (85, 1),
    "nouns": (3, 0),
    "noun_ratio": (0.3, 1.0),
    "determiners": (2, 0),
    "prepositions": (2, 0),
    "profane_words": (0, 3),
    "short_side_px": (600, 20),
    "unique_word_ratio": (0.9, 0.1),
}
"""What a column holds where its rule keeps a row and where it drops one; others: 0.02 and 0.99."""


def draw_column(name: str, rows: int, draws: np.random.Generator) -> pa.Array:
    passes, breaks = PASSES.get(name, (0.02, 0.99))
    broken = pa.array(draws.random(rows) < BREAKS)
    kind = RULE_SIGNAL_TYPES[name]
    column = pa.repeat(pa.scalar(passes, kind), rows)
    return pc.if_else(broken, pa.scalar(breaks, kind), column)


def write_unit(folder: str, number: int, hashes: np.ndarray, names: list[str]) -> tuple[Any, Any]:
    """One unit of pairs and of signals; returns their entries."""
    draws, rows = np.random.default_rng([7, number]), len(hashes)
    failed = pa.array(draws.random(rows) < FAILED)
    captions = [f"a picture of thing {n} in place {n % 97}" for n in draws.zipf(1.2, rows).tolist()]
    pixels = np.stack([hashes * np.uint64(0x9E3779B97F4A7C15), hashes], axis=1).view("V16").ravel()
    pairs = {
        "pair_id": pa.array([draws.bytes(16) for _ in range(rows)], pa.binary(16)),
        "url": pa.array([f"https://example{n % 500}.org/{number}/{n}.jpg" for n in range(rows)]),
        "caption": pa.array(captions),
        "outcome": pc.if_else(failed, "http_404", "ok"),
        "original_width": pa.array(draws.integers(300, 2_000, rows), pa.int32()),
        "original_height": pa.array(draws.integers(300, 2_000, rows), pa.int32()),
        "pixel_hash": pa.array([one.tobytes() for one in pixels], pa.binary(16)),
        "sha256": pa.array([draws.bytes(32) for _ in range(rows)], pa.binary(32)),
    }
    for name in ("original_width", "original_height", "pixel_hash", "sha256"):
        pairs[name] = pc.if_else(failed, pa.scalar(None, pairs[name].type), pairs[name])
    signals = {"pair_id": pairs["pair_id"], "phash": pa.array(hashes)}
    signals |= {name: draw_column(name, rows, draws) for name in names}
    for name in signals.keys() - {"pair_id"}:
        null = pa.scalar(None, signals[name].type)
        signals[name] = pc.if_else(failed, null, signals[name])
    return (
        commit(f"{folder}/pairs", number, pa.table(pairs)),
        commit(f"{folder}/signals", number, pa.table(signals)),
    )


def commit(folder: str, number: int, table: pa.Table) -> Any:
    return commit_table(unit_output(folder, number, "made"), table, Written(len(table)))


def write_corpus(folder: str, rows: int, recipe: Recipe, pool: Any) -> dict[str, Manifest]:
    hashes = draw_corpus(rows)
    names = [name for name in recipe.select.wanted if name not in ("phash", "caption_count")]
    units = [
        (folder, number, hashes[start : start + UNIT_ROWS], names)
        for number, start in enumerate(range(0, rows, UNIT_ROWS))
    ]
    pairs, signals = zip(*pool.starmap(write_unit, units), strict=True)
    return {
        "fetch": Manifest("fetch", 1, pairs, {}, {}, "", {}),
        "score": Manifest("score", 1, signals, {}, {}, "", {}),
    }


def run_stage(folder: str, rows: int, recipe: Recipe, processes: int) -> dict[str, Any]:
    folders = {"fetch": "pairs", "score": "signals", "select": "decisions"}
    build = SimpleNamespace(
        folder=lambda stage: f"{folder}/{folders[stage]}",
        recipe=recipe,
        fetch=FetchSettings(),
        models={},
    )
    seconds: dict[str, float] = {}
    cpu = 0.0
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        job = plan_select(build, write_corpus(folder, rows, recipe, pool))
        memory = 0
        for step in job.steps:
            start = time.perf_counter()
            spent = pool.map(run_item, [(step.work, item) for item in step.items], chunksize=1)
            seconds[step.label] = round(time.perf_counter() - start, 2)
            cpu += sum(used for _, used in spent)
            memory = max(memory, *(peak for peak, _ in spent))
    start = time.perf_counter()
    manifest = job.publish()
    seconds["publish"] = round(time.perf_counter() - start, 2)
    return {
        "recipe": recipe.name,
        "rows": rows,
        "rules": len(recipe.select.rules),
        "seconds": round(sum(seconds.values()), 1),
        "cpu_seconds": round(cpu, 1),
        "rows_per_second": round(rows / sum(seconds.values())),
        "cpu_minutes_for_10_million": round(1e7 / rows * cpu / 60, 1),
        "peak_mb_of_a_process": memory // 1024,
        "steps": seconds,
        "counts": {name: count for name, count in manifest.counts.items() if count > rows // 200},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--recipe", nargs="+", default=["dalle", "strict"])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", help="where files go; the system's temporary folder")
    args = parser.parse_args()
    for name in args.recipe:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            found = run_stage(folder, args.rows, load_recipe(name), args.processes)
            print(json.dumps(found, indent=1), flush=True)


if __name__ == "__main__":
    main()
