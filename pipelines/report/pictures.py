"""Small JPEGs for a page."""

import cv2
import numpy as np
import numpy.typing as npt

from tokens.pixels import read_stored

THUMBNAIL_SIDE_PX = 160
QUALITY = 82


def make_thumbnail(stored: bytes) -> bytes:
    """A stored picture as a JPEG of at most THUMBNAIL_SIDE_PX a side, never enlarged."""
    pixels = read_stored(stored)
    height, width = pixels.shape[:2]
    scale = min(1.0, THUMBNAIL_SIDE_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return encode_jpeg(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def encode_jpeg(pixels: npt.NDArray[np.uint8]) -> bytes:
    """RGB pixels (height, width, 3) as a JPEG file."""
    done, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done, pixels.shape
    return bytes(data)
