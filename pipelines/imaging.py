"""A stranger's bytes to upright RGB pixels, and pixels to what is stored.

A picture's size is read from the header before anything is decoded. Whatever the file means to
show, the outcome is what a person would see on a white page (`painting.py`).

Pillow opens every file and has the last word on it, not OpenCV: OpenCV takes a truncated JPEG for
a whole one and cannot be asked for a picture's size before it holds the picture. The pixels of a
plain JPEG come from libjpeg-turbo itself, at a fraction of the size where that is enough
(`scaled_jpeg.py`).
"""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
import xxhash
from PIL import (  # the four formats alone: asked for another one, Pillow imports all it knows
    GifImagePlugin,  # noqa: F401
    Image,
    ImageFile,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from pipelines.decoding.face_blur import blur_faces
from pipelines.decoding.formats import read_webp_size, sniff_format
from pipelines.decoding.jpeg_quality import estimate_quality
from pipelines.decoding.painting import paint, read_orientation, turn_upright
from pipelines.decoding.picture import DecodeLimits, Picture, StoredImage
from pipelines.decoding.scaled_jpeg import decode_jpeg
from pipelines.fetching.refused import Refused

Pixels = npt.NDArray[np.uint8]

JPEG_QUALITY = 95
DEFAULT_LIMITS = DecodeLimits()

warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of odd metadata


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture as a person would see it."""

    pixels: Pixels
    """(height, width, 3), RGB, upright; of a JPEG perhaps a half, a quarter or an eighth of it."""
    format: str
    """jpeg, png, webp or gif: what the bytes were."""
    animated: bool
    """There are further frames; `pixels` is the first."""
    transparency_ratio: float
    """How much white paper shows: 0 of a picture without transparency, 1 of an empty one."""
    jpeg_quality: int | None
    """`estimate_quality` of a JPEG; None: another format, or a JPEG that does not say."""
    original_width: int
    """Pixels of the whole picture, after turning upright."""
    original_height: int
    """Pixels of the whole picture, after turning upright."""
    orientation: int
    """EXIF's, which the picture was turned by."""


def make_picture(
    body: bytes, limits: DecodeLimits, image: StoredImage, face_boxes: Sequence[float] = ()
) -> Picture:
    """Decode, shrink, blur and store one picture, in this process.

    Args:
        face_boxes: faces to blur, as `blur_faces` wants them.

    Raises:
        Refused: as `decode_image`.
    """
    try:
        decoded = decode_image(body, limits, image.side_px)
        size = (decoded.original_width, decoded.original_height)
        pixels = shrink(decoded.pixels, image.side_px, size)
        if face_boxes:
            pixels = blur_faces(pixels, face_boxes, decoded.orientation)
        height, width = pixels.shape[:2]
        return Picture(
            compress(pixels, image.image_format),
            width,
            height,
            *size,
            pixel_hash(decoded.pixels, size),
            decoded.animated,
            decoded.transparency_ratio,
            decoded.jpeg_quality,
        )
    except MemoryError as err:
        raise Refused("decode_oom") from err
    except cv2.error as err:
        if err.code != cv2.Error.STS_NO_MEM:
            raise
        raise Refused("decode_oom") from err


def decode_image(
    data: bytes, limits: DecodeLimits = DEFAULT_LIMITS, side_px: int | None = None
) -> Decoded:
    """Decode the first frame of a JPEG, PNG, WebP or GIF.

    Args:
        side_px: short side in pixels that the picture will be shrunk to; lets a JPEG be decoded
            at a fraction of its size. None: every pixel, by Pillow alone.

    Raises:
        Refused: `empty_body`, `not_an_image`, `format_refused`, `too_many_pixels`, `too_small` (a
            side of 0), `decode_oom` or `decode_error`, which a truncated file ends as.
    """
    image_format = sniff_format(data)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES  # a process-wide switch; half pictures are no pairs
    if image_format == "webp" and (size := read_webp_size(data)) is not None:
        _check_size(size, limits)
    try:
        with Image.open(io.BytesIO(data), formats=(image_format,)) as image:
            _check_size(image.size, limits)
            return _decode(data, image, image_format, side_px)
    except Refused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as err:
        raise Refused("too_many_pixels") from err
    except MemoryError as err:
        raise Refused("decode_oom") from err
    except Exception as err:  # hostile bytes make decoders raise nearly anything
        raise Refused("decode_oom" if _is_out_of_memory(err) else "decode_error") from err


def _check_size(size: tuple[int, int], limits: DecodeLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels or max(size) > limits.max_side_px:
        raise Refused("too_many_pixels")
    if min(size) < 1:
        raise Refused("too_small")


def _decode(data: bytes, image: Image.Image, image_format: str, side_px: int | None) -> Decoded:
    is_jpeg, transparency_ratio = image_format == "jpeg", 0.0
    pixels = decode_jpeg(data, image, side_px) if is_jpeg and side_px else None
    if pixels is None:
        image.load()
        pixels, transparency_ratio = paint(image)
    orientation = read_orientation(image)
    # A JPEG that holds a second picture (a depth or gain map) is no animation.
    animated = not is_jpeg and bool(getattr(image, "is_animated", False))
    quality = estimate_quality(image) if is_jpeg else None
    size = image.size if orientation < 5 else image.size[::-1]
    upright = turn_upright(pixels, orientation)
    return Decoded(upright, image_format, animated, transparency_ratio, quality, *size, orientation)


def _is_out_of_memory(error: Exception) -> bool:
    # Pillow's C decoders can say so only in the text of an OSError (ImageFile.ERRORS, -9).
    return isinstance(error, OSError) and str(error).startswith("out of memory")


def store_image(
    pixels: Pixels,
    side_px: int,
    image_format: Literal["jpeg", "png"],
    size: tuple[int, int] | None = None,
) -> tuple[bytes, int, int]:
    """Shrink until the short side is `side_px`, never enlarge, and compress.

    Args:
        size: width and height of the whole picture, where `pixels` is a smaller copy of it: they
            decide the stored size.

    Returns:
        JPEG (quality 95, 4:2:0) or PNG bytes, and the width and height in pixels that they hold.
    """
    pixels = shrink(pixels, side_px, size)
    return compress(pixels, image_format), *pixels.shape[1::-1]


def shrink(pixels: Pixels, side_px: int, size: tuple[int, int] | None = None) -> Pixels:
    """Pixels at the size that they are stored with; arguments as for `store_image`."""
    stored = stored_size(size or pixels.shape[1::-1], side_px)
    if stored == pixels.shape[1::-1]:
        return pixels
    smaller: Pixels = cv2.resize(pixels, stored, interpolation=cv2.INTER_AREA)
    return smaller


def compress(pixels: Pixels, image_format: Literal["jpeg", "png"]) -> bytes:
    """JPEG (quality 95, 4:2:0) or PNG bytes."""
    return _to_jpeg(pixels) if image_format == "jpeg" else _to_png(pixels)


def stored_size(size: tuple[int, int], side_px: int) -> tuple[int, int]:
    """Width and height in pixels that a picture of `size` is stored with."""
    short = min(size)
    if short <= side_px:
        return size
    width, height = (max(1, (side * side_px + short // 2) // short) for side in size)
    return width, height


def _to_jpeg(pixels: Pixels) -> bytes:
    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), JPEG_QUALITY, colorsubsampling="420"
    )
    return data


def _to_png(pixels: Pixels) -> bytes:
    written, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    assert written
    return bytes(data)


def pixel_hash(pixels: Pixels, size: tuple[int, int] | None = None) -> bytes:
    """xxh3-128 over width, height (32-bit little-endian) and RGB: equal for equal pictures.

    The width and height are those of the whole picture (`size`; None: of `pixels`), the RGB is as
    it was decoded, of a large JPEG at a fraction of its size. Equal pictures keep equal hashes, for
    that fraction follows from the size alone: a file and its copy, or a JPEG and what a lossless
    tool made of it (other metadata, progressive for baseline), hold equal coefficients and decode
    to equal pixels at any fraction. What it gives up: a PNG that was made of a large JPEG hashes
    otherwise than the JPEG, and so do builds with another stored side. Near duplicates are the
    perceptual hash's to find.
    """
    width, height = size or pixels.shape[1::-1]
    digest = xxhash.xxh3_128(width.to_bytes(4, "little") + height.to_bytes(4, "little"))
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()
