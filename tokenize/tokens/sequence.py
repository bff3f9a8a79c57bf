"""How one training sequence is laid out: caption slots first, then the picture's codes.

    inputs   [BOS] t0 t1 ... pad pad   c0 c1 ... c(n-2)
    targets   t0   t1 ... pad pad  c0  c1 c2 ... c(n-1)

A caption has a fixed number of slots. A slot that it does not fill holds a pad of its own:
slot t's pad is the id `text_vocab_size + t`, so that the network learns one vector for each
(Ramesh et al. 2021, section 2.2). Caption ids and image codes are two vocabularies, told apart
by position; no id is shifted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

TEXT_VOCAB_SIZE = 16_384
MAX_UINT16_VOCAB = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceLayout:
    """The sizes that decide every sequence of a corpus; its manifest carries them."""

    text_slots: int = 256
    """Caption slots; the paper's 256, fewer where captions are short."""
    text_vocab_size: int = TEXT_VOCAB_SIZE
    """Caption ids, pads not counted."""
    grid_height: int = 32
    """Rows of image codes."""
    grid_width: int = 32
    """Columns of image codes."""
    image_vocab_size: int = 8192
    """Image codes that the tokenizer knows."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}; a sequence needs a whole number above 0")

    @property
    def num_codes(self) -> int:
        return self.grid_height * self.grid_width

    @property
    def length(self) -> int:
        """Inputs of one sequence, and as many targets: 256 + 1,024 in the paper."""
        return self.text_slots + self.num_codes

    @property
    def text_outputs(self) -> int:
        """Ids that a text slot can hold: the vocabulary and one pad per slot."""
        return self.text_vocab_size + self.text_slots

    @classmethod
    def from_details(cls, details: Mapping[str, Any]) -> "SequenceLayout":
        """The layout that a tokens manifest's `details` describe."""
        try:
            return cls(**{name: details[name] for name in cls.__slots__})
        except KeyError as err:
            raise ValueError(f"the tokens manifest has no {err.args[0]} in its details") from err


def code_dtype(image_vocab_size: int) -> npt.DTypeLike:
    """The smallest of uint16 and uint32 that holds every code of a vocabulary."""
    return np.uint16 if image_vocab_size <= MAX_UINT16_VOCAB else np.uint32


def lay_out_text(
    layout: SequenceLayout,
    ids: npt.NDArray[Any],
    offsets: npt.NDArray[Any],
    dtype: npt.DTypeLike = np.int64,
) -> npt.NDArray[Any]:
    """Captions as rows of slots, cut at `text_slots` and padded, shape [B, text_slots].

    Args:
        ids: caption ids of all rows, one after another.
        offsets: B + 1 positions; row i is `ids[offsets[i]:offsets[i + 1]]`.
        dtype: of the result; it must hold `text_outputs` ids.

    >>> layout = SequenceLayout(text_slots=3, text_vocab_size=100)
    >>> lay_out_text(layout, np.array([7, 8, 9, 9, 9, 9]), np.array([0, 1, 6]))
    array([[  7, 101, 102],
           [  8,   9,   9]])
    """
    text = np.empty((len(offsets) - 1, layout.text_slots), dtype)
    fill_text(layout, ids, offsets, text)
    return text


def fill_text(
    layout: SequenceLayout,
    ids: npt.NDArray[Any],
    offsets: npt.NDArray[Any],
    text: npt.NDArray[Any],
) -> None:
    """As `lay_out_text`, into an array that is at hand, C-contiguous."""
    slots, rows = layout.text_slots, len(offsets) - 1
    text[:] = layout.text_vocab_size + np.arange(slots)
    lengths = np.diff(offsets)
    if lengths.max(initial=0) > slots:
        kept = np.arange(slots) < lengths[:, None]
        ids = ids[(offsets[:-1, None] + np.arange(slots))[kept]]
        lengths = np.minimum(lengths, slots)
    else:
        ids = ids[offsets[0] : offsets[-1]]
    before = np.cumsum(lengths) - lengths
    place = np.repeat(np.arange(rows) * slots - before, lengths)
    place += np.arange(len(ids))
    text.reshape(-1)[place] = ids
