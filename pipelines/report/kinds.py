"""The tables of languages and sizes: what kinds of captions and pictures there are and are kept."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.report.positions import Mask
from pipelines.report.sample import Sample

LANGUAGE_COLUMNS = {"cld3": "cld3_language", "cld2": "cld2_language"}
SIZE_COLUMNS = ("width", "height")
COLUMNS = (*LANGUAGE_COLUMNS.values(), *SIZE_COLUMNS)
SHOWN_LANGUAGES = 15
OTHERS = "others"
SIDE_BOUNDS_PX = (64, 128, 256, 384, 512, 768, 1024, 2048)
ASPECT_BOUNDS = {"1:3": 1 / 3, "1:2": 1 / 2, "4:5": 4 / 5, "5:4": 5 / 4, "2:1": 2.0, "3:1": 3.0}
"""Width over height; from 4:5 to 5:4 a picture is about square."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows of one kind."""

    name: str
    rows: int
    kept: int


@dataclass(frozen=True, slots=True)
class Kinds:
    """Tables over a sample; empty where score did not measure what they need."""

    languages: Mapping[str, tuple[Kind, ...]]
    """By detector: the most frequent first."""
    short_sides: tuple[Kind, ...]
    """Of the originals, smallest first."""
    aspects: tuple[Kind, ...]
    """Of the originals, tallest first."""


def count_kinds(sample: Sample, kept: str) -> Kinds:
    survives = np.asarray(sample.reasons == kept, bool)
    languages = {
        detector: count_languages(sample.signals[name], survives)
        for detector, name in LANGUAGE_COLUMNS.items()
        if name in sample.columns
    }
    if not set(SIZE_COLUMNS) <= set(sample.columns):
        return Kinds(languages, (), ())
    width, height = (
        sample.signals[name].cast(pa.float64()).fill_null(float("nan")).to_numpy()
        for name in SIZE_COLUMNS
    )
    sides, ratios = np.minimum(width, height), width / height
    aspects = count_ranges(ratios, list(ASPECT_BOUNDS.values()), survives)
    return Kinds(
        languages,
        _name_kinds(
            name_ranges([f"{px}" for px in SIDE_BOUNDS_PX]),
            count_ranges(sides, SIDE_BOUNDS_PX, survives),
        ),
        _name_kinds(name_ranges(list(ASPECT_BOUNDS)), aspects),
    )


def count_languages(column: pa.Array, survives: Mask) -> tuple[Kind, ...]:
    """The most frequent codes, and all others together."""
    codes = np.array([code or "none" for code in column.to_pylist()], object)
    names, rows = np.unique(codes.astype(str), return_counts=True)
    order = sorted(range(len(names)), key=lambda i: (-rows[i], names[i]))
    shown = [str(names[i]) for i in order[:SHOWN_LANGUAGES]]
    kinds = [_count(name, codes == name, survives) for name in shown]
    rest = ~np.isin(codes.astype(str), shown)
    return (*kinds, _count(OTHERS, rest, survives)) if rest.any() else tuple(kinds)


def _count(name: str, mask: Mask, survives: Mask) -> Kind:
    return Kind(name, int(np.count_nonzero(mask)), int(np.count_nonzero(mask & survives)))


def name_ranges(bounds: Sequence[str]) -> list[str]:
    """Names of the ranges that some bounds cut, the lower bound in each."""
    between = [f"{low} \u2013 {high}" for low, high in zip(bounds, bounds[1:], strict=False)]
    return [f"below {bounds[0]}", *between, f"{bounds[-1]} and more"]


def count_ranges(
    values: npt.NDArray[np.float64], bounds: Collection[float], survives: Mask
) -> list[tuple[int, int]]:
    """Rows, and kept rows, in each range that the bounds cut; values that are none are left out."""
    there = np.isfinite(values)
    bins = np.searchsorted(list(bounds), values, side="right")
    size = len(bounds) + 1
    rows = np.bincount(bins[there], minlength=size)
    kept = np.bincount(bins[there & survives], minlength=size)
    return list(zip(rows.tolist(), kept.tolist(), strict=True))


def _name_kinds(names: Sequence[str], counts: Sequence[tuple[int, int]]) -> tuple[Kind, ...]:
    return tuple(Kind(name, *pair) for name, pair in zip(names, counts, strict=True))
