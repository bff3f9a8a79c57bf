"""A decoded picture as a person would see it on a white page, upright.

Transparency over white, sixteen bits scaled to eight, ink turned to light, orientation applied.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

ORIENTATION_TAG = 0x0112

UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}
"""EXIF orientation to what undoes it (EXIF 2.3, tag 0x0112)."""


def read_orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, where there is none or it is broken."""
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  # broken metadata is no reason to lose a picture
        return 1
    return orientation if orientation in UPRIGHT else 1


def turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """What the camera held, turned as the orientation says."""
    return np.ascontiguousarray(UPRIGHT[orientation](pixels))


def paint(image: Image.Image) -> tuple[Pixels, float]:
    """The image on white paper, not yet turned, and how much of it is paper.

    Returns:
        (height, width, 3) uint8, and the transparency of the mean pixel: 0 where no pixel lets the
        paper through, 1 where nothing is painted.
    """
    if image.mode == "I;16":
        return _paint_16_bit_grey(image)
    if image.mode == "CMYK":
        return np.asarray(_as_adobe(image).convert("RGB")), 0.0
    if image.has_transparency_data:
        _scale_transparent_colour(image)
        return _over_white(image.convert("RGBA"))
    return np.asarray(image.convert("RGB")), 0.0


def _paint_16_bit_grey(image: Image.Image) -> tuple[Pixels, float]:
    values = np.asarray(image)
    scale = ((np.arange(65_536) * 255 + 32_767) // 65_535).astype(np.uint8)
    grey = scale[values]
    paper = values == image.info.get("transparency", -1)
    grey[paper] = 255
    return np.repeat(grey[:, :, None], 3, axis=2), float(paper.mean())


def _as_adobe(image: Image.Image) -> Image.Image:
    # Adobe stores ink upside down and Pillow takes every CMYK file for Adobe's; without Adobe's
    # mark the file means what it says (as libvips reads it).
    return image if "adobe" in image.info else image.point(lambda value: 255 - value)


def _scale_transparent_colour(image: Image.Image) -> None:
    # Pillow reads sixteen-bit colour by its high bytes but leaves the transparent colour as it is.
    transparent = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(transparent, tuple) and max(transparent) > 255:
        image.info["transparency"] = tuple(value >> 8 for value in transparent)


def _over_white(image: Image.Image) -> tuple[Pixels, float]:
    paper = Image.new("RGB", image.size, "white")
    opacity = image.getchannel("A")
    paper.paste(image, mask=opacity)
    covered = np.dot(opacity.histogram(), np.arange(256)) / (255 * image.width * image.height)
    return np.asarray(paper), float(1 - covered)
