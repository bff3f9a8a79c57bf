"""What is in the token shards: tokens per caption, use of the image vocabulary, pictures decoded.

Shards are shuffled, so the first few of a split are a fair sample of it; no more are read.
"""

import heapq
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from pipelines.report.examples import (
    EXAMPLES_PER_REASON,
    Place,
    draw_units_of,
    load_rows,
    rank_rows,
)
from pipelines.report.pictures import encode_jpeg
from tokens.crops import centre_crop
from tokens.image import load_image_tokenizer
from tokens.manifest import KEPT, FileEntry, Manifest, join_url, read_table
from tokens.pixels import read_stored
from tokens.sequence import SequenceLayout

SHARDS_MEASURED = 8
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


@dataclass(frozen=True, slots=True)
class TokenFigures:
    """Counts over the token shards."""

    rows: dict[str, int]
    """Per series, for example "train/view0"."""
    tokens_per_row: int
    text_slots: int
    grid_height: int
    grid_width: int
    image_tokenizer: str
    measured_rows: int
    """Rows that the next figures are taken over."""
    caption_lengths: tuple[int, ...]
    """Captions per number of text tokens, from 0 to text_slots."""
    truncated: int
    """Captions that did not fit the text slots."""
    text_vocab_size: int
    text_ids_used: int
    image_vocab_size: int
    image_codes_used: int
    perplexity: float
    """exp of the entropy of the code frequencies: the size of an evenly used vocabulary."""
    code_shares: tuple[float, ...]
    """Share of all codes per id, largest first."""
    decoded: tuple[Decoded, ...]

    @property
    def pairs(self) -> int:
        return sum(self.rows.get(series, 0) for series in FIRST_VIEWS)

    @property
    def total(self) -> int:
        """Tokens in all rows of all views."""
        return sum(self.rows.values()) * self.tokens_per_row


def measure_tokens(
    directory: str, pairs: Manifest, decisions: Manifest, tokens: Manifest
) -> TokenFigures:
    """Read a few shards of view 0 of each split, and decode a few pictures."""
    layout = SequenceLayout.from_details(tokens.details)
    folder = join_url(directory, "tokens")
    lengths = np.zeros(layout.text_slots + 1, np.int64)
    text_ids = np.zeros(layout.text_vocab_size, np.int64)
    codes = np.zeros(layout.image_vocab_size, np.int64)
    truncated = rows = 0
    for entry in measured_shards(tokens):
        table = read_table(folder, entry, ("text_tokens", "text_truncated", "image_codes"))
        lengths += count(pc.list_value_length(table["text_tokens"]), len(lengths))
        text_ids += count(pc.list_flatten(table["text_tokens"]), len(text_ids))
        codes += count(pc.list_flatten(table["image_codes"]), len(codes))
        truncated += int(pc.sum(table["text_truncated"]).as_py() or 0)
        rows += len(table)
    return TokenFigures(
        rows=count_series(tokens),
        tokens_per_row=layout.length,
        text_slots=layout.text_slots,
        grid_height=layout.grid_height,
        grid_width=layout.grid_width,
        image_tokenizer=tokens.details["image_tokenizer_name"],
        measured_rows=rows,
        caption_lengths=tuple(lengths.tolist()),
        truncated=truncated,
        text_vocab_size=len(text_ids),
        text_ids_used=int(np.count_nonzero(text_ids)),
        image_vocab_size=len(codes),
        image_codes_used=int(np.count_nonzero(codes)),
        perplexity=round(perplexity(codes), 3),
        code_shares=tuple(np.round(np.sort(codes)[::-1] / max(1, codes.sum()), 8).tolist()),
        decoded=decode_examples(directory, pairs, decisions, tokens),
    )


def measured_shards(tokens: Manifest) -> list[FileEntry]:
    return [entry for series in FIRST_VIEWS for entry in tokens.group(series)[:SHARDS_MEASURED]]


def count_series(tokens: Manifest) -> dict[str, int]:
    rows: dict[str, int] = {}
    for entry in tokens.files:
        rows[entry.group] = rows.get(entry.group, 0) + entry.rows
    return rows


def count(values: Any, size: int) -> npt.NDArray[np.int64]:
    """How often each id from 0 to size - 1 stands in an Arrow array."""
    return np.bincount(values.to_numpy(), minlength=size).astype(np.int64)


def perplexity(counts: npt.NDArray[np.int64]) -> float:
    if not counts.sum():
        return 0.0
    shares = counts[counts > 0] / counts.sum()
    return math.exp(-float((shares * np.log(shares)).sum()))


def decode_examples(
    directory: str, pairs: Manifest, decisions: Manifest, tokens: Manifest
) -> tuple[Decoded, ...]:
    """Pictures that are in both the units and the shards that are opened, decoded."""
    codes = find_codes(directory, tokens, place_kept_pairs(directory, decisions))
    if not codes:
        return ()
    layout = SequenceLayout.from_details(tokens.details)
    side_px = tokens.details["side_px"]
    tokenizer = load_image_tokenizer(join_url(directory, "tokens/tokenizers/image.safetensors"))
    grids = np.stack([codes_N for _, codes_N in codes.values()])
    decoded = tokenizer.decode(grids.reshape(-1, layout.grid_height, layout.grid_width))
    rows = load_rows(directory, pairs, codes)
    return tuple(
        Decoded(
            pair_id=rows[place]["pair_id"].hex(),
            caption=rows[place]["caption"],
            split=split,
            original=encode_jpeg(centre_crop(read_stored(rows[place]["image"]), side_px)),
            decoded=encode_jpeg(pixels),
        )
        for (place, (split, _)), pixels in zip(codes.items(), decoded, strict=True)
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


def find_codes(
    directory: str, tokens: Manifest, places: dict[bytes, Place]
) -> dict[Place, tuple[str, npt.NDArray[Any]]]:
    """Split and codes of a few of the placed pairs, validation pairs first."""
    found: list[tuple[int, Place, str, npt.NDArray[Any]]] = []
    for entry in measured_shards(tokens):
        order, split = FIRST_VIEWS.index(entry.group), entry.group.partition("/")[0]
        table = read_table(join_url(directory, "tokens"), entry, ("pair_id", "image_codes"))
        for row, pair_id in enumerate(table["pair_id"].to_pylist()):
            if pair_id in places:
                codes = np.asarray(table["image_codes"][row].as_py())
                found.append((order, places[pair_id], split, codes))
    chosen = heapq.nsmallest(EXAMPLES_PER_REASON, found, key=lambda one: one[:2])
    return {place: (split, codes) for _, place, split, codes in chosen}
