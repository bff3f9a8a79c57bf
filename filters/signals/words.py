"""Captions as words: runs of letters and digits in lower case, so that "Cat, cat." is one twice."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.signals.coverage import MAX_CHARS

BETWEEN_WORDS = r"[^\p{L}\p{M}\p{N}]+"

Numbers = npt.NDArray[np.int64]


def split_words(captions: pa.StringArray) -> tuple[Numbers, pa.StringArray]:
    """For each word of all captions, in order: its caption's number, and the word.

    Of a caption the first MAX_CHARS characters are looked at.
    """
    start = pc.utf8_lower(pc.utf8_slice_codeunits(captions, 0, MAX_CHARS))
    lists = pc.split_pattern(pc.replace_substring_regex(start, BETWEEN_WORDS, " "), " ")
    words = lists.flatten()
    real = pc.not_equal(words, "")
    rows = pc.list_parent_indices(lists).filter(real).to_numpy(zero_copy_only=False)
    return rows.astype(np.int64), words.filter(real)
