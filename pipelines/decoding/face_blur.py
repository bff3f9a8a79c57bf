"""Faces that a source has boxed are blurred beyond recognition, and their surroundings are not.

After Yang et al. 2022, "A Study of Face Obfuscation in ImageNet" (arXiv 2103.06191), section 4, as
DataComp's downloads do it through img2dataset: boxes grow by a tenth of their longer side on every
side, one Gaussian of a tenth of the longest such side blurs the picture, and the same Gaussian
softens the mask that lays it over the original.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.decoding.painting import turn_upright

Pixels = npt.NDArray[np.uint8]
Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels; right and bottom are outside."""

SHARE = 0.1
"""Of a box's longer side: how far it grows, and how wide the blur is (Yang et al. 2022)."""
REACH = 4
"""Standard deviations that the Gaussian is followed to (Yang et al.'s code)."""
NARROW_PX = 4.0
"""A wider blur is made on a smaller copy: its cost would grow with its width, to 0.4 s a face."""


def blur_faces(pixels: Pixels, boxes: Sequence[float], orientation: int) -> Pixels:
    """An upright picture with its faces blurred.

    Args:
        pixels: (height, width, 3), upright, of any size.
        boxes: four numbers each, as `face_boxes.are_sound` has passed them: shares of the picture
            as it lies in its file, before EXIF turns it. So DataComp's are meant: img2dataset made
            the pictures that its faces were found in, and reads with cv2.IMREAD_UNCHANGED.
        orientation: EXIF's, which `pixels` have been turned by.

    Returns:
        `pixels` itself where no box covers a pixel.
    """
    height, width = pixels.shape[:2]
    lying = (height, width) if orientation < 5 else (width, height)
    mask, longest_px = _draw(boxes, lying)
    if not mask.any():
        return pixels
    sigma_px = max(1.0, SHARE * longest_px)
    soft = _smear(turn_upright(mask, orientation), sigma_px).astype(np.uint16)[:, :, None]
    mixed = pixels * (255 - soft) + _smear(pixels, sigma_px) * soft  # 255 x 255 at most
    return ((mixed + 127) // 255).astype(np.uint8)


def _draw(boxes: Sequence[float], size: tuple[int, int]) -> tuple[Pixels, int]:
    """The grown boxes as 255 on 0, and the longest side in pixels of one before it grew."""
    mask, longest_px = np.zeros(size, np.uint8), 0
    for start in range(0, len(boxes), 4):
        left, top, right, bottom = _to_pixels(boxes[start : start + 4], size)
        side_px = max(right - left, bottom - top)
        grow_px = math.ceil(SHARE * side_px)
        rows = slice(max(0, top - grow_px), max(0, bottom + grow_px))
        columns = slice(max(0, left - grow_px), max(0, right + grow_px))
        if mask[rows, columns].size:
            mask[rows, columns] = 255
            longest_px = max(longest_px, side_px)
    return mask, longest_px


def _to_pixels(box: Sequence[float], size: tuple[int, int]) -> Rectangle:
    """Every pixel that a box touches; corners may be given in any order."""
    height, width = size
    (left, right), (top, bottom) = sorted(box[0::2]), sorted(box[1::2])
    return (
        math.floor(left * width),
        math.floor(top * height),
        math.ceil(right * width),
        math.ceil(bottom * height),
    )


def _smear(pixels: Pixels, sigma_px: float) -> Pixels:
    """A Gaussian blur, a wide one by way of a copy on which it is narrow."""
    height, width = pixels.shape[:2]
    step = max(1, int(sigma_px / NARROW_PX))
    small = (max(1, round(width / step)), max(1, round(height / step)))
    side = 2 * math.ceil(REACH * sigma_px / step) + 1
    blurred = cv2.GaussianBlur(
        cv2.resize(pixels, small, interpolation=cv2.INTER_AREA),
        (side, side),
        sigma_px / step,
        borderType=cv2.BORDER_REPLICATE,
    )
    wide: Pixels = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
    return wide
