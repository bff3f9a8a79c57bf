"""The size that a picture had when it was fetched: upright, before anything was resized."""

import pyarrow as pa
import pyarrow.compute as pc

from filters.signals.signal import Signal


def measure_picture_size(pairs: pa.Table) -> tuple[pa.ChunkedArray, ...]:
    """Width and height in pixels, width over height, and the shorter of the two."""
    width, height = pairs["original_width"], pairs["original_height"]
    ratio = pc.divide(width.cast(pa.float64()), height.cast(pa.float64()))
    short_side_px = pc.min_element_wise(width, height, skip_nulls=False)
    return width, height, ratio, short_side_px


PICTURE_SIZE = Signal(
    columns=(
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("aspect_ratio", pa.float64()),
        ("short_side_px", pa.int32()),
    ),
    needs="pair",
    measure=measure_picture_size,
)
