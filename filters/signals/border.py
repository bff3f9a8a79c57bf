"""How much of a picture is an even frame around it: letterboxes, margins, mounts.

Rows are taken off above and below, then columns left and right of what remains, as long as each
is of one colour and that of the outermost one: each side may have its own. A white page around
a drawing counts as well as the black bars of a film.
"""

import cv2
import numpy as np
import pyarrow as pa

from filters.signals.signal import Signal

TOLERANCE = 24
"""Values of a channel between which a line is even: what JPEG does to the edge of a frame."""


def border_ratio(pixels: np.ndarray) -> float:
    """Share of the area of uint8 [H, W, 3] that is frame: 0 without one, 1 of a blank."""
    inner = _strip(pixels)
    inner = _strip(cv2.transpose(inner)) if inner.size else inner
    return 1 - inner.size / pixels.size


def _strip(pixels: np.ndarray) -> np.ndarray:
    """Without the even rows above and below."""
    if (np.ptp(pixels[[0, -1]], axis=1) > TOLERANCE).any(axis=1).all():
        return pixels  # which is nearly always so
    least, most = (
        cv2.reduce(pixels, 1, how).reshape(-1, 3) for how in (cv2.REDUCE_MIN, cv2.REDUCE_MAX)
    )
    above = _count_even(least, most)
    below = _count_even(least[::-1], most[::-1])
    return pixels[above : max(above, len(pixels) - below)]


def _count_even(least: np.ndarray, most: np.ndarray) -> int:
    """How many rows from the first on are even and of the first one's colour."""
    spread = np.maximum.accumulate(most) - np.minimum.accumulate(least)
    uneven = (spread > TOLERANCE).any(axis=1)
    return int(uneven.argmax()) if uneven.any() else len(spread)


def measure_border(pixels: np.ndarray) -> tuple[float]:
    return (border_ratio(pixels),)


BORDER = Signal(
    columns=(("border_ratio", pa.float32()),),
    needs="pixels",
    measure=measure_border,
)
