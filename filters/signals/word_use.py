"""How much a caption repeats itself: single words, and runs of two and three."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.signals.signal import Signal
from filters.signals.words import Numbers, split_words


def measure_word_use(captions: pa.StringArray) -> tuple[pa.FloatArray, ...]:
    """Distinct words over words, and the shares of words in the most repeated two and three.

    A run of words counts from its second time on: 0 where none occurs twice. A caption without
    a word repeats nothing: 1, 0, 0.
    """
    rows, texts = split_words(captions)
    words = texts.dictionary_encode().indices.to_numpy().astype(np.int64)
    total = np.bincount(rows, minlength=len(captions))
    distinct, _ = _count(rows, words, len(captions))
    unique = np.where(total > 0, distinct / np.maximum(total, 1), 1.0)
    runs = (_repeated_share(rows, words, total, length) for length in (2, 3))
    return tuple(pa.array(share.astype(np.float32)) for share in (unique, *runs))


def _repeated_share(
    rows: Numbers, words: Numbers, total: Numbers, length: int
) -> npt.NDArray[np.float64]:
    """Words of each caption inside its most frequent run of `length` words; at most all."""
    whole = rows[length - 1 :] == rows[: max(len(rows) - length + 1, 0)]
    runs = _number_runs(words, length)[whole]
    _, most = _count(rows[length - 1 :][whole], runs, len(total))
    share = np.minimum(most * length / np.maximum(total, 1), 1.0)
    return np.where(most > 1, share, 0.0)


def _number_runs(words: Numbers, length: int) -> Numbers:
    """For each run of `length` words a number that equal runs share, one run after another."""
    runs = words
    for step in range(1, length):
        pairs = runs[:-1] * (words.max(initial=0) + 1) + words[step:]
        runs = np.unique(pairs, return_inverse=True)[1]
    return runs


def _count(rows: Numbers, things: Numbers, num_rows: int) -> tuple[Numbers, Numbers]:
    """How many distinct things each row has, and how often its most frequent one occurs."""
    width = things.max(initial=0) + 1
    keys, counts = np.unique(rows * width + things, return_counts=True)
    owners = keys // width
    most = np.zeros(num_rows, np.int64)
    np.maximum.at(most, owners, counts)
    return np.bincount(owners, minlength=num_rows), most


WORD_USE = Signal(
    columns=(
        ("unique_word_ratio", pa.float32()),
        ("top_bigram_ratio", pa.float32()),
        ("top_trigram_ratio", pa.float32()),
    ),
    needs="caption",
    measure=measure_word_use,
)
