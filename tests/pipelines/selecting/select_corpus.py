"""A corpus as fetch and score leave it, made of a few numbers a row, and the select stage over it.

Folders are fsspec URLs: `memory://name` spares a search of many examples the disk's syncs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.commit import Written, commit_table, read_record, unit_output
from pipelines.pairs import PAIRS_SCHEMA, make_pair_id
from pipelines.recipe import read_recipe
from pipelines.select_pairs import plan_select
from pipelines.web.settings import FetchSettings
from tokens.manifest import FileEntry, Manifest, join_url, read_manifest, read_table

SHORT_SIDE = {"filter": "short_side", "min_side_px": 256}


@dataclass(frozen=True)
class Picture:
    """A row: what it shows, by its hash, and how."""

    phash: int | None
    side_px: int = 300
    caption: str = ""
    """By default another one in each row."""
    pixels: int | None = None
    """Number of its pixels, by default another one in each row."""
    bytes: int | None = None
    """Number of its bytes, likewise."""
    url: str = ""
    outcome: str = "ok"


def write_corpus(
    folder: Path | str,
    units: Sequence[Sequence[Picture]],
    more: dict[str, Any] | None = None,
) -> dict[str, Manifest]:
    """Pairs and signals of units.

    Args:
        more: further columns of the signals, a function of (unit, row) each.
    """
    pairs, signals = [], []
    for number, unit in enumerate(units):
        rows = [describe(picture, number, row) for row, picture in enumerate(unit)]
        table = pa.Table.from_pylist(rows, schema=PAIRS_SCHEMA)
        measured = {
            "pair_id": table["pair_id"],
            "phash": pa.array([picture.phash for picture in unit], pa.uint64()),
            "short_side_px": table["original_height"],
            "caption_words": pa.array([len(r["caption"].split()) for r in rows], pa.uint32()),
        }
        for name, make in (more or {}).items():
            measured[name] = make(number)
        pairs.append(commit(join_url(str(folder), "pairs"), number, table))
        signals.append(commit(join_url(str(folder), "signals"), number, pa.table(measured)))
    return {"fetch": manifest("fetch", pairs), "score": manifest("score", signals)}


def describe(picture: Picture, unit: int, row: int) -> dict[str, Any]:
    ok, place = picture.outcome == "ok", unit * 1000 + row
    url = picture.url or f"https://example.org/{place}.jpg"
    caption = picture.caption or f"caption {place}"
    own = -1 - place
    pixels = own if picture.pixels is None else picture.pixels
    body = own if picture.bytes is None else picture.bytes
    return {
        "source": 0,
        "row": place,
        "pair_id": make_pair_id(url, caption),
        "url": url,
        "caption": caption,
        "outcome": picture.outcome,
        "image": b"" if ok else None,
        "original_width": picture.side_px if ok else None,
        "original_height": picture.side_px if ok else None,
        "pixel_hash": digest(pixels, 16) if ok else None,
        "sha256": digest(body, 32) if ok else None,
    }


def digest(number: int, size: int) -> bytes:
    """Bytes that differ from number to number in their first half and their second."""
    return np.random.default_rng([size, number < 0, abs(number)]).bytes(size)


def commit(folder: str, index: int, table: pa.Table) -> FileEntry:
    return commit_table(unit_output(folder, index, "made"), table, Written(len(table)))


def manifest(stage: str, entries: list[FileEntry]) -> Manifest:
    return Manifest(stage, 1, tuple(entries), {}, {}, "", {})


def plan(
    folder: Path | str,
    done: dict[str, Manifest],
    select: dict[str, Any],
    score: dict[str, Any] | None = None,
) -> Any:
    """The select stage's job under a recipe's [select] and [score]."""
    folders = {"fetch": "pairs", "score": "signals", "select": "decisions"}
    document = {"score": score or {}, "select": {"rules": [SHORT_SIDE], **select}}
    recipe = read_recipe(document)
    build = SimpleNamespace(
        folder=lambda stage: join_url(str(folder), folders[stage]),
        recipe=recipe,
        fetch=FetchSettings(),
        models={},
    )
    return plan_select(build, done)


def run(job: Any, backwards: bool = False) -> Manifest:
    """Every item of every step that is not done, then the manifest."""
    for step in job.steps:
        for item in step.items[::-1] if backwards else step.items:
            if read_record(step.work.output(item)) is None:
                step.work(item)
    return job.publish()


def select(
    folder: Path | str, units: Sequence[Sequence[Picture]], section: dict[str, Any], **more: Any
) -> list[tuple[str, str | None]]:
    """Reason and split of each row."""
    run(plan(folder, write_corpus(folder, units, more), section))
    return read_decisions(folder)


def read_decisions(folder: Path | str) -> list[tuple[str, str | None]]:
    decided = read_manifest(join_url(str(folder), "decisions"))
    tables = [read_table(join_url(str(folder), "decisions"), entry) for entry in decided.files]
    rows = pa.concat_tables(tables).to_pylist()
    return [(row["reason"], row["split"]) for row in rows]


def reasons(decisions: list[tuple[str, str | None]]) -> list[str]:
    return [reason for reason, _ in decisions]
