"""What fetch has noted of the bytes of a picture before it flattened, shrank and compressed it.

Null means that there is no picture, or that another program had compressed it before we saw it.
`jpeg_quality` alone is null for a picture that was no JPEG, too: a rule that means to let those
pass asks whether `body_bytes` is there.
"""

import pyarrow as pa

from filters.signals.signal import Signal


def measure_original(pairs: pa.Table) -> tuple[pa.ChunkedArray, ...]:
    """The columns of the pairs under their own names."""
    return tuple(pairs[name] for name, _ in ORIGINAL.columns)


ORIGINAL = Signal(
    columns=(
        ("body_bytes", pa.int32()),
        ("jpeg_quality", pa.uint8()),
        ("transparency_ratio", pa.float32()),
        ("animated", pa.bool_()),
    ),
    needs="pair",
    measure=measure_original,
)
