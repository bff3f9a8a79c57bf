"""What a build says of the labelled rows and pairs: the answers to hold the labels against."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.filter import Filter
from pipelines.recipe import Recipe, read_recipe
from pipelines.selecting.caption_counts import normalise_captions
from tokens.manifest import join_url, read_manifest, read_table

HERE = Path(__file__).parent

OWN_COLUMNS = ("url", "caption", "outcome", "pixel_hash")


@dataclass(frozen=True, slots=True)
class Corpus:
    """All rows of a build as far as `select`."""

    rows: pa.Table
    """OWN_COLUMNS, every signal, `caption_count` and `reason`."""
    recipe: Recipe
    near_duplicates: dict[str, object]
    """What the manifest tells of clusters; empty where the recipe asks for none."""
    places: dict[str, int]
    """Each picture's row, by path below the collection's folder."""

    def take(self, paths: Sequence[str]) -> pa.Table:
        return self.rows.take([self.places[path] for path in paths])

    def fires(self, rule: Filter, rows: pa.Table) -> npt.NDArray[np.bool_]:
        """Whether the rule by itself would drop each of the rows."""
        columns = [rows[name].combine_chunks() for name in rule.signals]
        return rule(pa.record_batch(columns, names=list(rule.signals)))


def read_corpus(directory: str) -> Corpus:
    decisions = read_manifest(join_url(directory, "decisions"))
    rows = join_columns(read_stage(directory, stage) for stage in ("pairs", "signals", "decisions"))
    rows = rows.append_column("caption_count", count_captions(rows))
    paths = [unquote(urlsplit(url).path).lstrip("/") for url in rows["url"].to_pylist()]
    return Corpus(
        rows,
        read_recipe(decisions.recipe),
        decisions.details.get("near_duplicates", {}),
        {path: place for place, path in enumerate(paths)},
    )


def read_stage(directory: str, stage: str) -> pa.Table:
    folder = join_url(directory, stage)
    manifest = read_manifest(folder)
    wanted = OWN_COLUMNS if stage == "pairs" else None
    units = sorted((entry for entry in manifest.files if not entry.group), key=lambda e: e.index)
    return pa.concat_tables([read_table(folder, entry, wanted) for entry in units])


def join_columns(tables: Iterator[pa.Table]) -> pa.Table:
    """Side by side; row i of one is row i of the others."""
    columns: dict[str, pa.ChunkedArray] = {}
    for table in tables:
        columns |= {name: table[name] for name in table.column_names if name not in columns}
    return pa.table(columns)


def count_captions(rows: pa.Table) -> pa.Array:
    """As the rule for repeated captions counts them: fetched rows with the same caption."""
    captions = normalise_captions(rows["caption"])
    fetched = captions.filter(pc.equal(rows["outcome"], "ok"))
    counts = Counter(fetched.to_pylist())
    return pa.array([counts[caption] for caption in captions.to_pylist()], pa.uint32())


def read_labels(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def labelled(rows: Sequence[dict[str, str]], column: str, value: str) -> npt.NDArray[np.bool_]:
    return np.array([row[column] == value for row in rows])
