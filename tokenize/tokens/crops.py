"""The square crops that pictures are trained on and encoded from.

Listings 1 and 2 of Ramesh et al. 2021, for a side of 256 px; for another side their limits scale by
side / 256. Pictures are uint8 arrays [H, W, 3]; crops [side, side, 3]. Every draw comes from the
generator passed in, in the order in which the listing makes it, so that one key gives one crop.

The paper's resize is TensorFlow's AREA; OpenCV's INTER_AREA is its nearest equal outside
TensorFlow, and averages the same pixels. It only ever shrinks here.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

PAPER_SIDE_PX = 256


def listing1_crop(pixels: Pixels, side_px: int, generator: np.random.Generator) -> Pixels:
    """The augmentation of dVAE training: random square, random zoom, random crop, random flip.

    Raises:
        ValueError: a side of the picture is below `side_px`.
    """
    short_px = _short_side(pixels, side_px)
    square = _random_square(pixels, short_px, generator)
    zoom_px = _draw(
        generator, min(short_px, _scaled(288, side_px)), min(short_px, _scaled(384, side_px))
    )
    crop = _random_square(_shrink(square, zoom_px), side_px, generator)
    flipped = crop[:, ::-1] if generator.random() < 0.5 else crop
    return np.ascontiguousarray(flipped)


def listing2_crop(pixels: Pixels, side_px: int, generator: np.random.Generator) -> Pixels:
    """The augmentation of transformer training: near the centre, hardly zoomed, never flipped.

    Raises:
        ValueError: a side of the picture is below `side_px`.
    """
    height, width = pixels.shape[:2]
    short_px = _short_side(pixels, side_px)
    top = _draw_near_centre(height - short_px, generator)
    left = _draw_near_centre(width - short_px, generator)
    square = pixels[top : top + short_px, left : left + short_px]
    zoom_px = _draw(generator, side_px, min(short_px, _scaled(288, side_px)))
    crop = _random_square(_shrink(square, zoom_px), side_px, generator)
    return np.ascontiguousarray(crop)


def centre_crop(pixels: Pixels, side_px: int) -> Pixels:
    """The whole middle square, shrunk to the side: what held-out pictures are encoded from.

    Raises:
        ValueError: a side of the picture is below `side_px`.
    """
    height, width = pixels.shape[:2]
    short_px = _short_side(pixels, side_px)
    top, left = (height - short_px) // 2, (width - short_px) // 2
    square = pixels[top : top + short_px, left : left + short_px]
    return np.ascontiguousarray(_shrink(square, side_px))


def _short_side(pixels: Pixels, side_px: int) -> int:
    assert pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8
    height, width = pixels.shape[:2]
    if min(height, width) < side_px:
        raise ValueError(
            f"a picture of {width} x {height} px has no crop of {side_px} px: "
            f"drop pictures with a short side below {side_px} px first, or take a smaller side_px"
        )
    return int(min(height, width))


def _scaled(limit_px: int, side_px: int) -> int:
    """A limit of the listings, which stand for 256 px, for another side."""
    return limit_px * side_px // PAPER_SIDE_PX


def _draw(generator: np.random.Generator, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return int(generator.integers(low, high, endpoint=True))


def _draw_near_centre(slack_px: int, generator: np.random.Generator) -> int:
    """An offset from 3/8 of the slack to below 5/8 of it; one value where they meet."""
    low = 3 * slack_px // 8
    return _draw(generator, low, max(low + 1, 5 * slack_px // 8) - 1)


def _random_square(pixels: Pixels, side_px: int, generator: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    top = _draw(generator, 0, height - side_px)
    left = _draw(generator, 0, width - side_px)
    return pixels[top : top + side_px, left : left + side_px]


def _shrink(square: Pixels, side_px: int) -> Pixels:
    if square.shape[0] == side_px:
        return square
    shrunk: Pixels = cv2.resize(square, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return shrunk
