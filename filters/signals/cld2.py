"""The language of a caption by Compact Language Detector 2, which says so when it cannot tell."""

import pyarrow as pa

from filters.signals.detectable import detectable
from filters.signals.signal import Signal


def measure_cld2(captions: pa.StringArray) -> tuple[pa.Array, ...]:
    """Language code ("un" where cld2 cannot tell), how much of the text is in it, and whether cld2
    is sure of it.

    The share is cld2's, 0 to 1 in hundredths: it gives no probability.
    """
    import pycld2  # loaded at the first unit, in the worker

    found = [pycld2.detect(detectable(text), isPlainText=True) for text in captions.to_pylist()]
    return (
        pa.array([languages[0][1] for _, _, languages in found], pa.string()),
        pa.array([languages[0][2] / 100 for _, _, languages in found], pa.float32()),
        pa.array([reliable for reliable, _, _ in found], pa.bool_()),
    )


CLD2 = Signal(
    columns=(
        ("cld2_language", pa.string()),
        ("cld2_ratio", pa.float32()),
        ("cld2_reliable", pa.bool_()),
    ),
    needs="caption",
    measure=measure_cld2,
)
