"""Which picture format some bytes are in: told by how they begin, never by what a server says.

Four formats reach a decoder; each decoder is a door to attack.
"""

from pipelines.fetching.refused import Refused

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
"""Formats that are pictures but have no decoder here."""


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


def read_webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height by the first chunk of a WebP file (RFC 9649 section 2); None: it has none.

    For Pillow tells them only after libwebp has made room for two pictures of that size.
    """
    kind, header = data[12:16], data[20:30]
    if len(header) < 10:
        return None
    if kind == b"VP8X":
        width, height = (int.from_bytes(header[at : at + 3], "little") for at in (4, 7))
        return width + 1, height + 1
    if kind == b"VP8L":
        bits = int.from_bytes(header[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = (int.from_bytes(header[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return (width, height) if kind == b"VP8 " else None
