"""A 64-bit hash that stays (nearly) the same when a picture is resized or compressed again.

After pHash (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash
Functions"): the lowest 8 x 8 frequencies of a 32 x 32 grey picture, one bit each, set where
the coefficient is above their median. Recompression and scaling flip 0 or 1 bit of 64, a 5 %
crop about 8, unrelated pictures about 31.
"""

import cv2
import numpy as np
import pyarrow as pa

from filters.signals.signal import Signal

GREY_SIDE_PX = 32
BITS_SIDE = 8


def perceptual_hash(pixels: np.ndarray) -> int:
    """The hash of one picture, uint8 [H, W, 3] RGB; the top bit is the constant term's."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (GREY_SIDE_PX, GREY_SIDE_PX), interpolation=cv2.INTER_AREA)
    frequencies = cv2.dct(small.astype(np.float32))[:BITS_SIDE, :BITS_SIDE]
    # A flat picture's coefficients are zero but for rounding; its bits must not be noise.
    steady = np.round(frequencies, 1)
    bits = np.packbits(steady > np.median(steady))
    return int.from_bytes(bits.tobytes(), "big")


def measure_perceptual_hash(pixels: np.ndarray) -> tuple[int]:
    return (perceptual_hash(pixels),)


PERCEPTUAL_HASH = Signal(
    columns=(("phash", pa.uint64()),),
    needs="pixels",
    measure=measure_perceptual_hash,
)
