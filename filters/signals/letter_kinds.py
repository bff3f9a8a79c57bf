"""What a caption is written with: capitals, digits, punctuation."""

import pyarrow as pa
import pyarrow.compute as pc

from filters.signals.coverage import MAX_CHARS
from filters.signals.signal import Signal

UPPER, LOWER, LETTER, DIGIT = r"\p{Lu}", r"\p{Ll}", r"\p{L}", r"\p{N}"
SIGN = r"[\p{P}\p{S}]"
"""Punctuation and symbols, emoji among them."""
SPACE = r"[\s\x0b\x1c-\x1f\x{85}\p{Z}]"
"""White space as Unicode has it; RE2 alone knows ASCII's."""
LETTERED_WORD = r"[\p{L}\p{M}\p{N}]*\p{L}[\p{L}\p{M}\p{N}'\x{2019}]*"
CAPITALISED_WORD = r"[^\p{L}\p{M}\p{N}'\x{2019}]\p{N}*\p{Lu}"
"""What stands before a word, and its beginning with a capital; a digit or more may lead."""
CAPITALISED_START = r"^[^\p{L}]*\p{Lu}"


def measure_letter_kinds(captions: pa.StringArray) -> tuple[pa.Array, ...]:
    """Shares, 0 to 1, and whether the first letter is a capital.

    Capitals of the letters that have a case, capitalised words of the words with a letter,
    digits and signs of the characters that are no white space. 0 of nothing is 0.
    """
    start = pc.utf8_slice_codeunits(captions, 0, MAX_CHARS)
    upper, seen = _count(start, UPPER), pc.subtract(pc.utf8_length(start), _count(start, SPACE))
    return (
        _share(upper, pc.add(upper, _count(start, LOWER))),
        # A space before the first word, too: counting, Arrow sees a ^ wherever it goes on.
        _share(
            _count(pc.binary_join_element_wise(" ", start, ""), CAPITALISED_WORD),
            _count(start, LETTERED_WORD),
        ),
        pc.match_substring_regex(start, CAPITALISED_START),
        _share(_count(start, DIGIT), seen),
        _share(_count(start, SIGN), seen),
    )


def _count(captions: pa.StringArray, pattern: str) -> pa.Int32Array:
    return pc.count_substring_regex(captions, pattern)


def _share(part: pa.Int32Array, whole: pa.Int32Array) -> pa.FloatArray:
    return pc.divide(part.cast(pa.float32()), pc.max_element_wise(whole, 1).cast(pa.float32()))


LETTER_KINDS = Signal(
    columns=(
        ("capital_ratio", pa.float32()),
        ("capitalised_word_ratio", pa.float32()),
        ("capitalised_start", pa.bool_()),
        ("digit_ratio", pa.float32()),
        ("punctuation_ratio", pa.float32()),
    ),
    needs="caption",
    measure=measure_letter_kinds,
)
