"""The pixels of a plain JPEG, decoded no larger than its use needs.

libjpeg-turbo can leave out the high frequencies of each 8 x 8 block and so decode at a half, a
quarter or an eighth of the size for less. It has fast code for these three alone: at five, six or
seven eighths it takes longer than for the whole picture (benchmarks/decode.py).
"""

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

MARGIN_NUM, MARGIN_DEN = 3, 2
"""Never below 1.5 x the stored side: the last step is an average of areas, and at 1 x the decoder
would be the one who shrinks (benchmarks/decode.py has the distance in PSNR)."""


def decode_jpeg(data: bytes, image: Image.Image, side_px: int) -> npt.NDArray[np.uint8] | None:
    """RGB pixels of the JPEG that Pillow has opened as `image`, not yet turned.

    Returns:
        (height, width, 3), a whole fraction of the picture's size with a short side of at least
        1.5 x `side_px`, or the whole picture; None where anything is out of the ordinary, down to
        the least warning of the decoder: Pillow decides then.
    """
    if image.mode not in ("RGB", "L"):
        return None
    width, height = image.size
    divisor = _divisor(min(width, height), side_px)
    try:
        # Two readers may see two headers in one file: the limits hold for what Pillow saw.
        if simplejpeg.decode_jpeg_header(data)[:2] != (height, width):
            return None
        pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, "RGB", min_height=-(-height // divisor), min_width=-(-width // divisor)
        )
    except Exception:  # noqa: BLE001  # hostile bytes; Pillow says what is wrong with them
        return None
    return pixels


def _divisor(short_px: int, side_px: int) -> int:
    return next(
        divisor
        for divisor in (8, 4, 2, 1)
        if divisor == 1 or short_px * MARGIN_DEN >= side_px * MARGIN_NUM * divisor
    )
