"""What is asked of a picture, and what becomes of it.

Records alone: whoever plans, or hands pictures on to the processes that decode, needs no decoder.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What a picture may cost; Pillow's own limit of 89 million pixels stands behind it."""

    max_pixels: int = 50_000_000
    """Pixels, by the header (imgproxy)."""
    max_side_px: int = 65_500
    """Pixels of the longer side: a JPEG can be stored up to here (libjpeg)."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """How a picture is kept."""

    side_px: int = 288
    """Short side in pixels, never enlarged: all that Listing 2 of Ramesh et al. 2021 needs."""
    image_format: Literal["jpeg", "png"] = "jpeg"
    """JPEG of quality 95, or PNG for line art."""
    blur_faces: bool = False
    """Faces that the source has boxed are to be blurred; `make_picture` is given the boxes."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is stored, and what is known of the one that it was made from."""

    image: bytes
    """JPEG or PNG."""
    width: int
    height: int
    original_width: int
    """Pixels, upright, before it was shrunk."""
    original_height: int
    pixel_hash: bytes
    """Sixteen bytes: `pixel_hash` of the pixels as decoded, before any blur, and the original
    size: a picture is the same one whatever is made of it."""
    animated: bool
    """It is the first frame of several."""
    transparency_ratio: float
    """As in `Decoded`."""
    jpeg_quality: int | None
    """As in `Decoded`: of the bytes as fetched, not as stored."""
