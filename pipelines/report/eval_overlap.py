"""Pictures of evaluation sets and what looks like them among the pairs: counts, nearest ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.report.examples import Example
from pipelines.report.near_duplicates import load_pairs
from pipelines.report.pictures import make_thumbnail
from pipelines.report.reading import read_beside
from tokens.manifest import Manifest

FILE_NAME = "eval_overlap.parquet"
COLUMNS = ("set", "picture", "unit", "row", "pair_id", "distance", "similarity")
NEAREST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Nearest:
    """A picture of an evaluation set beside the pair that is most like it."""

    set: str
    picture: str
    """Its name in the set."""
    thumbnail: bytes
    """JPEG."""
    distance: int
    """Bits in which the two perceptual hashes differ."""
    similarity: float | None
    """Cosine of the two CLIP embeddings, where they were compared."""
    pair: Example


@dataclass(frozen=True, slots=True)
class EvalOverlap:
    """What select has found of them."""

    sets: tuple[Mapping[str, Any], ...]
    """The manifest's own: set, pictures, overlapping, and pictures per distance."""
    nearest: tuple[Nearest, ...]


def show_eval_overlap(directory: str, pairs: Manifest, decisions: Manifest) -> EvalOverlap | None:
    """None where the recipe names no evaluation set."""
    sets = decisions.details.get("eval_overlap")
    if not sets:
        return None
    return EvalOverlap(tuple(sets), load_nearest(directory, pairs))


def load_nearest(directory: str, pairs: Manifest) -> tuple[Nearest, ...]:
    """Every evaluation picture at most once, with its nearest pair; the nearest of all first."""
    table = read_beside(directory, FILE_NAME, COLUMNS)
    if not table:
        return ()
    rows = choose_nearest(table.to_pylist())
    thumbnails = read_thumbnails(directory, [row["picture"] for row in rows])
    examples = load_pairs(directory, pairs, rows)
    return tuple(
        make_nearest(row, thumbnails[row["set"], row["picture"]], examples[row["pair_id"]])
        for row in rows
    )


def choose_nearest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first few evaluation pictures by how near their nearest pair is, each with that pair."""
    nearest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(rows, key=_rank):
        nearest.setdefault((row["set"], row["picture"]), row)
    return list(nearest.values())[:NEAREST_SHOWN]


def read_thumbnails(directory: str, pictures: list[str]) -> dict[tuple[str, str], bytes]:
    """JPEGs of some evaluation pictures: those of all would be gigabytes."""
    columns = ("set", "picture", "thumbnail")
    table = read_beside(directory, FILE_NAME, columns, {"picture": pictures})
    rows = table.to_pylist() if table else []
    return {(row["set"], row["picture"]): row["thumbnail"] for row in rows}


def _rank(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Nearest by hash, then by embedding; the rest only makes the order whole."""
    similarity = row["similarity"]
    like = 0.0 if similarity is None else -similarity
    return row["distance"], like, row["set"], row["picture"], row["unit"], row["row"]


def make_nearest(row: Mapping[str, Any], thumbnail: bytes, pair: Example) -> Nearest:
    return Nearest(
        set=row["set"],
        picture=row["picture"],
        thumbnail=make_thumbnail(thumbnail),
        distance=row["distance"],
        similarity=row["similarity"],
        pair=pair,
    )
