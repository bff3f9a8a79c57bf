"""The language of a caption by Google's Compact Language Detector 3, which the paper used.

The library is loaded at the first caption, once in a process. Its detector may serve several
threads: the binding never releases the interpreter's lock.
"""

from functools import cache
from typing import Any

import pyarrow as pa

from filters.signals.detectable import MAX_CHARS, detectable
from filters.signals.signal import Signal

UNDETERMINED = "und"
"""ISO 639's code; cld3 itself would call a caption without a letter Japanese."""


def measure_cld3(
    captions: pa.StringArray,
) -> tuple[pa.StringArray, pa.FloatArray, pa.BooleanArray]:
    """Language code, probability in [0, 1], and whether cld3 calls that reliable."""
    found = [_identify(caption) for caption in captions.to_pylist()]
    return (
        pa.array([language for language, _, _ in found], pa.string()),
        pa.array([probability for _, probability, _ in found], pa.float32()),
        pa.array([reliable for _, _, reliable in found], pa.bool_()),
    )


def _identify(caption: str) -> tuple[str, float, bool]:
    text = detectable(caption)
    if not any(map(str.isalpha, text)):
        return UNDETERMINED, 0.0, False
    result = _detector().FindLanguage(text=text)
    return result.language, result.probability, result.is_reliable


@cache
def _detector() -> Any:
    import gcld3

    return gcld3.NNetLanguageIdentifier(min_num_bytes=0, max_num_bytes=MAX_CHARS)


CLD3 = Signal(
    columns=(
        ("cld3_language", pa.string()),
        ("cld3_probability", pa.float32()),
        ("cld3_reliable", pa.bool_()),
    ),
    needs="caption",
    measure=measure_cld3,
)
