"""Picture files made on the spot, sound and unsound, for the tests of what decodes them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)


def saved(image: Image.Image, image_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *chunks: bytes) -> bytes:
    """A PNG out of its filtered rows; `chunks` stand before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def chunk(name: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def noise(mode: str, width: int = 24, height: int = 16) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def smooth(width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture of soft blobs with hard edges, closer to photographs than noise is."""
    values = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    image = Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)
    image.paste((250, 240, 20), (width // 5, height // 4, width // 2, height // 2))
    return image


def palette(*entries: tuple[int, int, int]) -> Image.Image:
    """One pixel per entry."""
    image = Image.new("P", (len(entries), 1))
    image.putpalette([value for entry in entries for value in entry])
    image.putdata(list(range(len(entries))))
    return image


def row(mode: str, *pixels: object) -> Image.Image:
    image = Image.new(mode, (len(pixels), 1))
    image.putdata(list(pixels))
    return image


def plain_cmyk(image: Image.Image) -> bytes:
    """A CMYK JPEG without Adobe's mark, and so without Adobe's inversion."""
    return without_segment(saved(image, "JPEG", quality=100), b"\xff\xee")


def without_segment(jpeg: bytes, marker: bytes) -> bytes:
    start = jpeg.index(marker)
    return jpeg[:start] + jpeg[start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big") :]


def with_segment(jpeg: bytes, marker: bytes, data: bytes) -> bytes:
    """The JPEG with a segment right behind its first two bytes."""
    return jpeg[:2] + marker + struct.pack(">H", len(data) + 2) + data + jpeg[2:]


def forge_jpeg_size(jpeg: bytes, width: int, height: int) -> bytes:
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


def forge_gif_frame(gif: bytes, width: int, height: int) -> bytes:
    at = start_of_frame(gif) + 5
    return gif[:at] + struct.pack("<HH", width, height) + gif[at + 4 :]


def start_of_frame(gif: bytes) -> int:
    return gif.index(b",\0\0\0\0", 13)


def bombs() -> list[bytes]:
    """Small files whose headers promise more pixels than any picture may have."""
    jpeg, gif = (saved(noise("RGB"), name) for name in ("JPEG", "GIF"))
    return [
        *(png(side, side, 8, 2, b"") for side in (7_072, 9_400, 13_000, 50_000)),
        forge_jpeg_size(jpeg, 60_000, 60_000),
        gif[:6] + struct.pack("<HH", 60_000, 60_000) + gif[10:],
        forge_gif_frame(gif, 60_000, 60_000),
        *(forge_webp_size(webp, 16_000) for webp in webp_files()),
    ]


def webp_files() -> list[bytes]:
    """The three kinds of first chunk: lossy, lossless, with more than a picture."""
    image = noise("RGB")
    return [
        saved(image, "WEBP"),
        saved(image, "WEBP", lossless=True),
        saved(image, "WEBP", exif=Image.Exif()),
        saved(image, "WEBP", save_all=True, append_images=[Image.new("RGB", image.size)]),
    ]


def forge_webp_size(webp: bytes, side: int) -> bytes:
    kind = webp[12:16]
    if kind == b"VP8X":
        return webp[:24] + 2 * (side - 1).to_bytes(3, "little") + webp[30:]
    if kind == b"VP8L":
        bits = (side - 1) | (side - 1) << 14
        return webp[:21] + bits.to_bytes(4, "little") + webp[25:]
    return webp[:26] + struct.pack("<HH", side, side) + webp[30:]
