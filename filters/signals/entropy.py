"""How many grey values a picture makes use of: 0 bits for one, 8 bits for all of them equally.

Shannon's entropy of the histogram. It says nothing of how the values are arranged; a picture of
less than about 2 bits is a blank, a line drawing or a scanned page.
"""

import cv2
import numpy as np
import pyarrow as pa

from filters.signals.signal import Signal


def entropy_bits(pixels: np.ndarray) -> float:
    """Bits per pixel, 0 to 8, of the grey values of uint8 [H, W, 3] RGB."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    counts = np.bincount(grey.ravel(), minlength=256)
    shares = counts[counts > 0] / grey.size
    return float(-(shares * np.log2(shares)).sum()) + 0.0  # not -0.0


def measure_entropy(pixels: np.ndarray) -> tuple[float]:
    return (entropy_bits(pixels),)


ENTROPY = Signal(
    columns=(("entropy_bits", pa.float32()),),
    needs="pixels",
    measure=measure_entropy,
)
