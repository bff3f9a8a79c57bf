"""Small answers that unpack to a quarter of a gigabyte, in every encoding that HTTP has a name for.

Scrapy tests itself with files of the same kinds; these are made at first use.
"""

import struct
import zlib
from functools import cache

from pipelines.web.fault_exchange import Exchange, Fault, picture

BOMB_BYTES = 256 * 2**20
BLOCK = bytes(2**20)
GZIP, ZLIB = 31, 15
"""Window bits by which zlib knows the two formats."""
GZIP_HEAD = bytes.fromhex("1f8b08000000000002ff")
ZLIB_HEAD = bytes.fromhex("78da")
ZEROS_CRC = 0x2A0E7DBB
"""CRC-32 of BOMB_BYTES zeros."""
PNG_SIDE_PX = 50_000


async def packed(exchange: Exchange) -> None:
    """a picture packed with gzip, although identity was asked for"""
    exchange.reply("200 OK", _gzip(picture()), "Content-Encoding: gzip")


async def gzip_bomb(exchange: Exchange) -> None:
    """256 MiB of zeros, packed with gzip"""
    _send(exchange, deflated_zeros(GZIP), "gzip")


async def deflate_bomb(exchange: Exchange) -> None:
    """256 MiB of zeros, packed with deflate"""
    _send(exchange, deflated_zeros(ZLIB), "deflate")


async def nested_gzip(exchange: Exchange) -> None:
    """256 MiB of zeros, packed with gzip twice"""
    _send(exchange, _gzip(deflated_zeros(GZIP)), "gzip, gzip")


async def brotli_bomb(exchange: Exchange) -> None:
    """256 MiB of zeros, packed with brotli: 203 bytes"""
    _send(exchange, BROTLI_ZEROS, "br")


async def zstd_bomb(exchange: Exchange) -> None:
    """256 MiB of zeros, packed with zstandard"""
    _send(exchange, zstd_zeros(), "zstd")


async def unknown_encoding(exchange: Exchange) -> None:
    """a picture in an encoding that nobody knows"""
    _send(exchange, picture(), "pied-piper")


async def secret_bomb(exchange: Exchange) -> None:
    """a gzip bomb that says that it is a JPEG"""
    exchange.reply("200 OK", deflated_zeros(GZIP), "Content-Type: image/jpeg")


async def pixel_bomb(exchange: Exchange) -> None:
    """a PNG of 50,000 x 50,000 pixels in a hundred bytes or so"""
    exchange.reply("200 OK", huge_png(), "Content-Type: image/png")


BOMBS: tuple[Fault, ...] = (
    packed,
    gzip_bomb,
    deflate_bomb,
    nested_gzip,
    brotli_bomb,
    zstd_bomb,
    unknown_encoding,
    secret_bomb,
    pixel_bomb,
)


def _send(exchange: Exchange, body: bytes, encoding: str) -> None:
    kind = "Content-Type: image/jpeg"
    exchange.reply("200 OK", body, kind, f"Content-Encoding: {encoding}")


def _gzip(data: bytes) -> bytes:
    return zlib.compress(data, wbits=GZIP)


@cache
def deflated_zeros(window_bits: int) -> bytes:
    """BOMB_BYTES zeros in zlib's format or in gzip's: one packed block again and again."""
    packer = zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS)
    block = packer.compress(BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = block * (BOMB_BYTES // len(BLOCK)) + packer.flush()
    if window_bits == GZIP:
        return GZIP_HEAD + packed + struct.pack("<II", ZEROS_CRC, BOMB_BYTES)
    return ZLIB_HEAD + packed + struct.pack(">I", (BOMB_BYTES % 65_521) << 16 | 1)


def zstd_zeros() -> bytes:
    """BOMB_BYTES zeros as a zstandard frame of blocks that repeat one byte (RFC 8878, 3.1.1)."""
    size = 2**17  # the most that a block may hold
    blocks = BOMB_BYTES // size
    head = bytes.fromhex("28b52ffd0038")  # magic, no options, a window of 128 KiB
    repeated = [_zstd_block(size, is_last=block == blocks - 1) for block in range(blocks)]
    return head + b"".join(repeated)


def _zstd_block(size: int, *, is_last: bool) -> bytes:
    repeats_one_byte = 1
    return (size << 3 | repeats_one_byte << 1 | is_last).to_bytes(3, "little") + b"\0"


BROTLI_ZEROS = bytes.fromhex(
    "cfffff7f002400e2b14072effff9ffff0f8004401c1680eefd3fffffff01900088c302d0bdffe7ffff3f00120071"
    "5800baf7fffcffff074002200e0b40f7fe9fffffff004800c46101e8defff3ffff1f000980382c00ddfb7ffeffff"
    "032001108705a07bffcfffff7f002400e2b00074effff9ffff0f8004401c1680eefd3fffffff01900088c302d0bd"
    "ffe7ffff3f001200715800baf7fffcffff074002200e0b40f7fe9fffffff004800c46101e8defff3ffff1f000980"
    "382c00ddfb7ffeffff032001108705a07bff3f"
)
"""BOMB_BYTES zeros as the brotli package 1.2 packs them (quality 5, a window of 24 bits)."""


def huge_png() -> bytes:
    """A PNG whose header is honest about its size and whose pixels are missing."""
    header = struct.pack(">IIBBBBB", PNG_SIDE_PX, PNG_SIDE_PX, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(BLOCK[:1000])), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, data) for kind, data in chunks)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
