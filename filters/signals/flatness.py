"""How much of a picture is one colour: logos, diagrams and pictures that failed to load.

A colour is a small cube of RGB values, because JPEG spreads an even area over several: the
fullest of 32 x 32 x 32 boxes is found, and every pixel near the mean of what is in it counts,
so that a colour on the edge between boxes is counted whole.
"""

import cv2
import numpy as np
import pyarrow as pa

from filters.signals.signal import Signal

BOXES = 32
"""Along each channel: a box is 8 values wide."""
TOLERANCE = 10
"""A pixel this near in every channel has the colour: the ringing of JPEG at quality 75."""


def flat_ratio(pixels: np.ndarray) -> float:
    """Share of the pixels that have the most frequent colour, above 0, at most 1.

    Args:
        pixels: uint8 [H, W, 3].
    """
    counts = cv2.calcHist([pixels], [0, 1, 2], None, [BOXES] * 3, [0, 256] * 3)
    width = 256 // BOXES
    lowest = np.array(np.unravel_index(counts.argmax(), counts.shape)) * width
    fullest = cv2.inRange(pixels, lowest, lowest + width - 1)
    mean = np.array(cv2.mean(pixels, fullest)[:3])
    near = cv2.inRange(pixels, mean - TOLERANCE, mean + TOLERANCE)
    return float(cv2.countNonZero(near) / near.size)


def measure_flatness(pixels: np.ndarray) -> tuple[float]:
    return (flat_ratio(pixels),)


FLATNESS = Signal(
    columns=(("flat_ratio", pa.float32()),),
    needs="pixels",
    measure=measure_flatness,
)
