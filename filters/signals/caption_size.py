"""How long a caption is."""

import pyarrow as pa
import pyarrow.compute as pc

from filters.signals.signal import Signal

WORD = r"[^\s\x0b\x1c-\x1f\x{85}\p{Z}]+"
"""A run without white space as Unicode has it; RE2 alone knows ASCII's."""


def measure_caption_size(captions: pa.StringArray) -> tuple[pa.Int32Array, pa.Int32Array]:
    """Characters (Unicode code points) without the white space around, and words."""
    chars = pc.utf8_length(pc.utf8_trim_whitespace(captions))
    words = pc.count_substring_regex(captions, WORD)
    return chars.cast(pa.int32()), words.cast(pa.int32())


CAPTION_SIZE = Signal(
    columns=(("caption_chars", pa.int32()), ("caption_words", pa.int32())),
    needs="caption",
    measure=measure_caption_size,
)
