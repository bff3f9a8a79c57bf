"""How much of a caption a pattern covers."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MAX_CHARS = 4_096
"""Characters looked at: far beyond the 256 tokens of a caption that a model ever sees."""

NEITHER_LETTER_NOR_DIGIT = r"[^\p{L}\p{N}]+"


def spaced(captions: pa.StringArray) -> pa.StringArray:
    """The captions' beginnings, with one plain space for each run of space or underscore."""
    start = pc.utf8_slice_codeunits(captions, 0, MAX_CHARS)
    return pc.replace_substring_regex(start, r"[\s_\p{Z}]+", " ")


def covered_ratio(captions: pa.StringArray, pattern: str, hint: str = "") -> pa.FloatArray:
    """The share of each caption's letters and digits that matches of an RE2 pattern cover, 0 to 1.

    RE2's time is linear in the caption's length whatever the caption holds, which Python's `re`
    does not promise.

    Args:
        hint: a quicker pattern that occurs wherever the other one does.
    """
    # Most captions hold none, and to see that is quicker than to replace nothing.
    found = pc.match_substring_regex(captions, hint or pattern)
    some = captions.filter(found)
    rest = pc.replace_substring_regex(some, pattern, " ")
    before, after = count_letters(some), count_letters(rest)
    covered = pc.subtract(before, after).cast(pa.float32())
    # A caption of signs alone is covered nowhere: 0 of 1, not 0 of 0.
    shares = pc.divide(covered, pc.max_element_wise(before, 1).cast(pa.float32()))
    nowhere = pa.array(np.zeros(len(captions), np.float32))
    return pc.replace_with_mask(nowhere, found, shares)


def count_letters(captions: pa.StringArray) -> pa.Int32Array:
    """Letters and digits of each caption."""
    return pc.utf8_length(pc.replace_substring_regex(captions, NEITHER_LETTER_NOR_DIGIT, ""))
