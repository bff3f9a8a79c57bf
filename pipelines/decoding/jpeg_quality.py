"""With which quality a JPEG was compressed, by its quantisation table.

A JPEG does not say. libjpeg makes the table of a quality by scaling the one that the standard
prints as an example (ITU-T T.81, table K.1), so the quality whose table is nearest is the
quality it was saved with, exactly where libjpeg or Pillow did it, and about what it amounts to
where a camera or Photoshop has tables of its own.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

LUMINANCE = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61),
        *(12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56),
        *(14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77),
        *(24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101),
        *(72, 92, 95, 98, 112, 100, 103, 99),
    ]
)
"""ITU-T T.81, table K.1, row by row."""


def _scale_table(quality: int) -> npt.NDArray[np.int_]:
    """As libjpeg does (jcparam.c, jpeg_quality_scaling and jpeg_add_quant_table)."""
    percent = 5_000 // quality if quality < 50 else 200 - 2 * quality
    return ((LUMINANCE * percent + 50) // 100).clip(1, 255)


TABLES = np.stack([_scale_table(quality) for quality in range(1, 101)])


def estimate_quality(image: Image.Image) -> int | None:
    """The quality, 1 to 100, of a JPEG that Pillow has opened; None where it has no table."""
    tables = getattr(image, "quantization", None)
    if not tables:
        return None
    table = np.asarray(tables[min(tables)])  # the first is the luminance's
    return int(np.abs(TABLES - table).sum(axis=1).argmin()) + 1
