"""The rows of one window in memory, in arrays that the next window is read into."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.loading.batch import Batch, text_dtype
from model.loading.order import RowGroup
from tokens.sequence import SequenceLayout, code_dtype, fill_text
from tokens.shards import TokenRows

Rows = slice | npt.NDArray[np.int64]


class WindowRows:
    """Room for one window; what it holds is true until the next `load`."""

    def __init__(self, layout: SequenceLayout, rows: int) -> None:
        """
        Args:
            rows: of the largest window.
        """
        self._layout = layout
        self._pair_ids = np.empty(rows, "V16")
        self._text = np.empty((rows, layout.text_slots), text_dtype(layout))
        self._codes = np.empty((rows, layout.num_codes), code_dtype(layout.image_vocab_size))
        self._captions = pa.array([], pa.string())

    def load(self, groups: Sequence[RowGroup], rows: Iterator[TokenRows]) -> None:
        """Take the next of `rows` for each group, one after another."""
        start = 0
        captions = []
        for group in groups:
            one = next(rows)
            assert one.rows == group.rows, (one.rows, group)
            part = slice(start, start := start + one.rows)
            self._pair_ids[part] = one.pair_ids
            self._codes[part] = one.codes
            if one.captions is None:
                fill_text(self._layout, one.text_ids, one.text_offsets, self._text[part])
            else:
                captions.append(one.captions)
        self._captions = pa.concat_arrays(captions) if captions else self._captions

    def copy(self, index: npt.NDArray[np.int64], batch: Batch, to: Rows) -> None:
        """Rows at `index` into rows `to` of a batch; text only where no captions were read."""
        _take(self._pair_ids, index, batch.pair_ids, to)
        _take(self._codes, index, batch.image, to)
        if not len(self._captions):
            _take(self._text, index, batch.text, to)

    def captions(self, index: npt.NDArray[np.int64]) -> list[str]:
        found: list[str] = self._captions.take(pa.array(index)).to_pylist()
        return found

    def pair_ids(self, index: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
        return self._pair_ids[index]


def _take(
    source: npt.NDArray[Any], index: npt.NDArray[np.int64], target: npt.NDArray[Any], to: Rows
) -> None:
    if isinstance(to, slice):
        # "clip": a take that checks each index copies by way of a buffer of its own
        np.take(source, index, axis=0, out=target[to], mode="clip")
    else:
        target[to] = source[index]
