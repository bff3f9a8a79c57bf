"""A stranger's bytes to upright RGB pixels, and pixels to what is stored.

Bytes are known by how they begin, never by what a server calls them, and only four formats reach a
decoder. Its size is read from the header before anything is decoded. Whatever the file means to
show, the outcome is what a person would see on a white page: orientation applied, transparency
over white, sixteen bits scaled to eight, ink turned to light.

Pillow decodes, not OpenCV: OpenCV takes a truncated JPEG for a whole one and cannot be asked for a
picture's size before it holds the picture.
"""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import xxhash
from PIL import Image, ImageFile

from pipelines.refused import Refused

Pixels = npt.NDArray[np.uint8]

ORIENTATION_TAG = 0x0112
JPEG_QUALITY = 95

MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
)
REFUSED_MAGIC = (
    b"%PDF",
    b"%!PS",  # EPS
    b"\xc5\xd0\xd3\xc6",  # EPS with a preview
    b"II*\0",  # TIFF
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"BM",
    b"\0\0\1\0",  # ICO
    b"\0\0\2\0",  # CUR
    b"8BPS",  # PSD
    b"SIMPLE  =",  # FITS
    b"\0\0\0\x0cjP  ",  # JPEG 2000
    b"\xff\x4f\xff\x51",
    b"\0\0\0\x0cJXL ",
    b"\xff\x0a",  # JPEG XL
    b"qoif",
)
"""Formats that are pictures but have no decoder here; each decoder is a door to attack."""

warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of odd metadata


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


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture as a person would see it."""

    pixels: Pixels
    """(height, width, 3), RGB, upright."""
    format: str
    """jpeg, png, webp or gif: what the bytes were."""
    animated: bool
    """There are further frames; `pixels` is the first."""

    @property
    def original_width(self) -> int:
        """Pixels, after turning upright."""
        return int(self.pixels.shape[1])

    @property
    def original_height(self) -> int:
        """Pixels, after turning upright."""
        return int(self.pixels.shape[0])


def decode_image(data: bytes, limits: DecodeLimits = DecodeLimits()) -> Decoded:
    """Decode the first frame of a JPEG, PNG, WebP or GIF.

    Raises:
        Refused: `empty_body`, `not_an_image`, `format_refused`, `too_many_pixels`, `too_small` (a
            side of 0), `decode_oom` or `decode_error`, which a truncated file ends as.
    """
    image_format = sniff_format(data)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES  # a process-wide switch; half pictures are no pairs
    try:
        with Image.open(io.BytesIO(data), formats=(image_format,)) as image:
            _check_size(image.size, limits)
            orientation = _load(image)
            # A JPEG that holds a second picture (a depth or gain map) is no animation.
            animated = image_format != "jpeg" and bool(getattr(image, "is_animated", False))
            pixels = _turn_upright(_paint(image), orientation)
    except Refused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as err:
        raise Refused("too_many_pixels") from err
    except MemoryError as err:
        raise Refused("decode_oom") from err
    except Exception as err:  # hostile bytes make decoders raise nearly anything
        raise Refused("decode_error") from err
    return Decoded(pixels, image_format, animated)


def sniff_format(data: bytes) -> str:
    """jpeg, png, gif or webp, by the first bytes.

    Raises:
        Refused: `empty_body`, `format_refused` for other pictures, `not_an_image` for the rest.
    """
    if not data:
        raise Refused("empty_body")
    for magic, image_format in MAGIC:
        if data.startswith(magic):
            return image_format
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    refused = data.startswith(REFUSED_MAGIC) or data[4:8] == b"ftyp" or _is_svg(data[:1024])
    raise Refused("format_refused" if refused else "not_an_image")


def _is_svg(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    xml = text.startswith(b"<?xml") and b"<html" not in text and b"doctype html" not in text
    return xml or text.startswith((b"<svg", b"<!doctype svg"))


def _check_size(size: tuple[int, int], limits: DecodeLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels or max(size) > limits.max_side_px:
        raise Refused("too_many_pixels")
    if min(size) < 1:
        raise Refused("too_small")


def _load(image: Image.Image) -> int:
    """Decode, and return the EXIF orientation; 1, upright, where there is none or it is broken."""
    image.load()
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001  # broken metadata is no reason to lose a picture
        return 1
    return orientation if orientation in UPRIGHT else 1


def _paint(image: Image.Image) -> Pixels:
    """The image on white paper: (height, width, 3) uint8, not yet turned."""
    if image.mode == "I;16":
        return _paint_16_bit_grey(image)
    if image.mode == "CMYK":
        return np.asarray(_as_adobe(image).convert("RGB"))
    if image.has_transparency_data:
        _scale_transparent_colour(image)
        return np.asarray(_over_white(image.convert("RGBA")))
    return np.asarray(image.convert("RGB"))


def _paint_16_bit_grey(image: Image.Image) -> Pixels:
    values = np.asarray(image)
    scale = ((np.arange(65_536) * 255 + 32_767) // 65_535).astype(np.uint8)
    grey = scale[values]
    transparent = image.info.get("transparency")
    if transparent is not None:
        grey[values == transparent] = 255
    return np.repeat(grey[:, :, None], 3, axis=2)


def _as_adobe(image: Image.Image) -> Image.Image:
    # Adobe stores ink upside down and Pillow takes every CMYK file for Adobe's; without Adobe's
    # mark the file means what it says (as libvips reads it).
    return image if "adobe" in image.info else image.point(lambda value: 255 - value)


def _scale_transparent_colour(image: Image.Image) -> None:
    # Pillow reads sixteen-bit colour by its high bytes but leaves the transparent colour as it is.
    transparent = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(transparent, tuple) and max(transparent) > 255:
        image.info["transparency"] = tuple(value >> 8 for value in transparent)


def _over_white(image: Image.Image) -> Image.Image:
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=image.getchannel("A"))
    return paper


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


def _turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    return np.ascontiguousarray(UPRIGHT[orientation](pixels))


def store_image(
    pixels: Pixels, side_px: int, image_format: Literal["jpeg", "png"]
) -> tuple[bytes, int, int]:
    """Shrink until the short side is `side_px`, never enlarge, and compress.

    Returns:
        JPEG (quality 95) or PNG bytes, and the width and height in pixels that they hold.
    """
    height, width = pixels.shape[:2]
    short = min(height, width)
    if short > side_px:
        width, height = (max(1, (side * side_px + short // 2) // short) for side in (width, height))
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    suffix, options = (
        (".jpg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if image_format == "jpeg"
        else (".png", [])
    )
    written, data = cv2.imencode(suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    assert written
    return data.tobytes(), width, height


def pixel_hash(pixels: Pixels) -> bytes:
    """xxh3-128 over width, height (32-bit little-endian) and RGB: equal for equal pictures."""
    height, width = pixels.shape[:2]
    digest = xxhash.xxh3_128(width.to_bytes(4, "little") + height.to_bytes(4, "little"))
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()
