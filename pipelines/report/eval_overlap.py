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
    table = read_beside(directory, FILE_NAME)
    if table is None:
        return ()
    keys = table.drop_columns(["thumbnail"]).to_pylist()
    order = sorted(range(len(keys)), key=lambda i: _rank(keys[i]))
    chosen: dict[tuple[str, str], int] = {}
    for number in order:
        chosen.setdefault((keys[number]["set"], keys[number]["picture"]), number)
        if len(chosen) == NEAREST_SHOWN:
            break
    rows = [keys[i] | {"thumbnail": table["thumbnail"][i].as_py()} for i in chosen.values()]
    examples = load_pairs(directory, pairs, rows)
    return tuple(make_nearest(row, examples[row["pair_id"]]) for row in rows)


def _rank(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Nearest by hash, then by embedding; the rest only makes the order whole."""
    similarity = row["similarity"]
    like = 0.0 if similarity is None else -similarity
    return row["distance"], like, row["set"], row["picture"], row["unit"], row["row"]


def make_nearest(row: Mapping[str, Any], pair: Example) -> Nearest:
    return Nearest(
        set=row["set"],
        picture=row["picture"],
        thumbnail=make_thumbnail(row["thumbnail"]) if row["thumbnail"] else b"",
        distance=row["distance"],
        similarity=row["similarity"],
        pair=pair,
    )
