"""What is in the token shards: how long captions are, how the image vocabulary is used."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from pipelines.report.decoded import FIRST_VIEWS, Decoded, decode_examples, sample_shards
from tokens.manifest import Manifest, join_url, read_table
from tokens.sequence import SequenceLayout


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
    decoded: tuple[Decoded, ...] | None
    """None where the tokenizer holds an encoder alone."""

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
    for entry in sample_shards(tokens):
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
