"""Stored pictures beside what their codes decode to.

A picture stands in a unit, its codes in a shard, and neither names the other. Shards are shuffled,
so the first few of a split hold a fair sample of every unit's pairs: a few of both are opened, and
pairs that stand in both are shown.
"""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.report.examples import (
    EXAMPLES_PER_REASON,
    Place,
    draw_units_of,
    load_rows,
    rank_rows,
)
from pipelines.report.pictures import shrink_jpeg
from tokens.crops import centre_crop
from tokens.manifest import KEPT, FileEntry, Manifest, join_url, read_table
from tokens.pixels import read_stored
from tokens.sequence import SequenceLayout

SHARDS_OPENED = 8
"""Of each split, view 0."""
FIRST_VIEWS = ("val/view0", "train/view0")
"""In the order of preference for decoded pictures: a validation pair's crop is the centre."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A stored picture, cropped, and what its codes say of it."""

    pair_id: str
    caption: str
    split: str
    original: bytes
    """JPEG of the centre crop."""
    decoded: bytes
    """JPEG."""


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """A pair that was found in a shard, in the order to show: validation first, then keyed."""

    series: int
    place: Place
    shard: int
    row: int


def sample_shards(tokens: Manifest) -> list[FileEntry]:
    return [entry for series in FIRST_VIEWS for entry in tokens.group(series)[:SHARDS_OPENED]]


def decode_examples(
    directory: str, pairs: Manifest, decisions: Manifest, tokens: Manifest
) -> tuple[Decoded, ...] | None:
    """Pictures that are in both the units and the shards that are opened, decoded.

    None where the tokenizer is the published encoder alone, which draws nothing.
    """
    from tokens.image import load_image_tokenizer  # imports torch, which only tokens need

    tokenizer = load_image_tokenizer(join_url(directory, "tokens/tokenizers/image.safetensors"))
    if not tokenizer.decodes:
        return None
    found = find_pairs(directory, tokens, place_kept_pairs(directory, decisions))
    if not found:
        return ()
    pictures = tokenizer.decode(read_codes(directory, tokens, found))
    rows = load_rows(directory, pairs, (one.place for one in found))
    return tuple(
        make_decoded(rows[one.place], FIRST_VIEWS[one.series], tokens.details["side_px"], pixels)
        for one, pixels in zip(found, pictures, strict=True)
    )


def place_kept_pairs(directory: str, decisions: Manifest) -> dict[bytes, Place]:
    """Where the kept pairs of a few units stand, by pair_id."""
    folder = join_url(directory, "decisions")
    places: dict[bytes, Place] = {}
    for entry in draw_units_of(decisions, KEPT):
        table = read_table(folder, entry, ("pair_id", "reason"))
        pair_ids = table["pair_id"].filter(pc.equal(table["reason"], KEPT)).to_pylist()
        kept = rank_rows(table, "reason", KEPT, entry.index)
        places |= dict(zip(pair_ids, kept, strict=True))
    return places


def find_pairs(directory: str, tokens: Manifest, places: Mapping[bytes, Place]) -> list[Found]:
    """The first of the placed pairs that stand in the opened shards."""
    return heapq.nsmallest(EXAMPLES_PER_REASON, _search(directory, tokens, places))


def _search(directory: str, tokens: Manifest, places: Mapping[bytes, Place]) -> Iterator[Found]:
    for shard, entry in enumerate(sample_shards(tokens)):
        table = read_table(join_url(directory, "tokens"), entry, ("pair_id",))
        for row, pair_id in enumerate(table["pair_id"].to_pylist()):
            if pair_id in places:
                yield Found(FIRST_VIEWS.index(entry.group), places[pair_id], shard, row)


def read_codes(directory: str, tokens: Manifest, found: list[Found]) -> npt.NDArray[Any]:
    """The codes of the found pairs, [pairs, height, width]."""
    layout = SequenceLayout.from_details(tokens.details)
    shards = sample_shards(tokens)
    codes: dict[Found, Any] = {}
    for shard in sorted({one.shard for one in found}):
        here = [one for one in found if one.shard == shard]
        table = read_table(join_url(directory, "tokens"), shards[shard], ("image_codes",))
        rows = table["image_codes"].take(pa.array([one.row for one in here]))
        codes |= dict(zip(here, rows.to_pylist(), strict=True))
    grid = layout.grid_height, layout.grid_width
    return np.array([codes[one] for one in found]).reshape(-1, *grid)


def make_decoded(
    row: Mapping[str, Any], series: str, side_px: int, pixels: npt.NDArray[np.uint8]
) -> Decoded:
    return Decoded(
        pair_id=row["pair_id"].hex(),
        caption=row["caption"],
        split=series.partition("/")[0],
        original=shrink_jpeg(centre_crop(read_stored(row["image"]), side_px)),
        decoded=shrink_jpeg(pixels),
    )
