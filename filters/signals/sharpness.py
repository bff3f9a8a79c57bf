"""How sharp a picture is: the variance of its Laplacian, at one size for all pictures.

After Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy: a comparative
study" (LAPV). The measure falls as a picture is enlarged, so all are brought to one short side
first. Below about 100 a picture is commonly called blurred; flat drawings are low, too, and
noise is high.
"""

import cv2
import numpy as np
import pyarrow as pa

from filters.signals.signal import Signal

SHORT_SIDE_PX = 256
"""The size of the crop that a model sees (Ramesh et al. 2021)."""
LONG_SIDE_PX = 4 * SHORT_SIDE_PX
"""A longer picture is cut off here, by a stretch: a banner costs no more than this."""


def sharpness(pixels: np.ndarray) -> float:
    """Variance of the Laplacian of the grey picture, 0 or more, of uint8 [H, W, 3] RGB."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    scale = SHORT_SIDE_PX / min(height, width)
    size = tuple(min(LONG_SIDE_PX, round(side * scale)) for side in (width, height))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(grey, size, interpolation=how)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(scaled, cv2.CV_16S))
    return float(deviation[0, 0] ** 2)


def measure_sharpness(pixels: np.ndarray) -> tuple[float]:
    return (sharpness(pixels),)


SHARPNESS = Signal(
    columns=(("sharpness", pa.float32()),),
    needs="pixels",
    measure=measure_sharpness,
)
