"""Small JPEGs for a page, none larger than a page can bear."""

import cv2
import numpy as np
import numpy.typing as npt

from tokens.pixels import read_stored

THUMBNAIL_SIDE_PX = 160
THUMBNAIL_BYTES = 8_000
DECODED_SIDE_PX = 256
DECODED_BYTES = 20_000
QUALITIES = (82, 65, 45, 25, 10, 1)
"""Tried in this order until the file is small enough; a photograph is at the first."""


def make_thumbnail(stored: bytes) -> bytes:
    """A stored picture as a JPEG of at most THUMBNAIL_SIDE_PX a side and THUMBNAIL_BYTES."""
    return shrink_jpeg(read_stored(stored), THUMBNAIL_SIDE_PX, THUMBNAIL_BYTES)


def shrink_jpeg(
    pixels: npt.NDArray[np.uint8],
    most_side_px: int = DECODED_SIDE_PX,
    most_bytes: int = DECODED_BYTES,
) -> bytes:
    """RGB pixels (height, width, 3) as a JPEG file, shrunk to fit and never enlarged."""
    height, width = pixels.shape[:2]
    scale = min(1.0, most_side_px / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = pixels if scale == 1 else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    files = (encode_jpeg(small, quality) for quality in QUALITIES)
    return next((file for file in files if len(file) <= most_bytes), b"")


def encode_jpeg(pixels: npt.NDArray[np.uint8], quality: int) -> bytes:
    done, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done, pixels.shape
    return bytes(data)
