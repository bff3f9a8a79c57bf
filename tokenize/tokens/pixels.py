"""The pixels of a stored picture: what the fetch stage wrote, decoded again."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt


def read_stored(data: bytes) -> npt.NDArray[np.uint8]:
    """A stored JPEG or PNG -> RGB pixels, uint8 [H, W, 3].

    Stored pictures are upright and without alpha, so nothing is turned and nothing is blended: this
    is for a build's own files, not for bytes from the web.

    Raises:
        ValueError: the bytes are not a whole picture.
    """
    bgr = None
    if data:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if bgr is None:
        raise ValueError(
            f"{len(data)} stored bytes are not a JPEG or PNG picture: the file is damaged"
        )
    return np.ascontiguousarray(bgr[..., ::-1], dtype=np.uint8)
