"""The plain files in a tar, found by its 512-byte headers; nothing is unpacked.

`tarfile` reads extension headers of any length into memory; here no more than 64 KiB are read of
one. A member is known by where its header begins, so that a name can do no harm, and one picture
of a million is read by one seek (POSIX.1-2017, pax, "ustar Interchange Format").
"""

import logging
import re
from collections.abc import Iterator
from typing import IO, NamedTuple

BLOCK_BYTES = 512
"""A tar is made of blocks of this size."""
OCTAL = re.compile(rb"[ \0]*([0-7]+)[ \0]*")
PLAIN_FILE = (b"0", b"\0")
"""Marks of a member that holds bytes; links and devices have others."""
PAX_HEADER, GNU_LONG_NAME = b"x", b"L"
"""Marks of what says something of the member behind it."""
MAX_HEADER_BYTES = 1 << 16
"""A longer extension header holds no file's name."""
PAX_PATH = re.compile(rb"[0-9]+ path=([^\n]*)\n")

logger = logging.getLogger(__name__)


class Member(NamedTuple):
    """One plain file."""

    name: str
    """As the tar has it: a stranger's text, which no path is to be made of."""
    offset: int
    """Where its header begins."""
    size: int


class Header(NamedTuple):
    """What a block says that begins a member."""

    name: bytes
    size: int
    mark: bytes


def walk_tar(file: IO[bytes], where: str) -> Iterator[Member]:
    """Every plain file, in order, up to the end mark, or with a warning to the file's end.

    Raises:
        ValueError: what should be a header is none; names the place.
    """
    position, long_name = 0, b""
    while len(block := read_at(file, position, BLOCK_BYTES)) == BLOCK_BYTES:
        if block == bytes(BLOCK_BYTES):
            return
        header = read_header(block)
        if header is None:
            raise ValueError(f"{where} is no tar, or damaged: no header at byte {position}")
        if header.mark in PLAIN_FILE:
            name = (long_name or header.name).decode("utf-8", "surrogateescape")
            yield Member(name, position, header.size)
        long_name = _long_name(file, position, header)
        position += BLOCK_BYTES * (1 + -(-header.size // BLOCK_BYTES))
    if block or position == 0:
        raise ValueError(f"{where} is no tar, or damaged: it ends at byte {position + len(block)}")
    logger.warning("%s has no end mark: members may be missing behind byte %d", where, position)


def read_header(block: bytes) -> Header | None:
    """None for a block whose checksum is wrong, or that names no length."""
    size, checksum = OCTAL.fullmatch(block[124:136]), OCTAL.fullmatch(block[148:156])
    if size is None or checksum is None:
        return None
    if int(checksum[1], 8) != sum(block[:148]) + 8 * ord(" ") + sum(block[156:]):
        return None
    name, prefix = (block[a:b].partition(b"\0")[0] for a, b in ((0, 100), (345, 500)))
    whole = prefix + b"/" + name if prefix and block[257:263] == b"ustar\0" else name
    return Header(whole, int(size[1], 8), block[156:157])


def _long_name(file: IO[bytes], position: int, header: Header) -> bytes:
    """The name that an extension header gives the next member; empty where it gives none."""
    if header.mark not in (PAX_HEADER, GNU_LONG_NAME) or header.size > MAX_HEADER_BYTES:
        return b""
    content = read_at(file, position + BLOCK_BYTES, header.size)
    if header.mark == GNU_LONG_NAME:
        return content.partition(b"\0")[0]
    found = PAX_PATH.search(content)
    return found[1] if found else b""


def read_member(file: IO[bytes], offset: int, max_bytes: int) -> bytes | None:
    """The bytes of the plain file whose header begins there, one more than the limit at most.

    None where there is no such header, or the file is cut short.
    """
    header = read_header(read_at(file, offset, BLOCK_BYTES).ljust(BLOCK_BYTES, b"\xff"))
    if header is None or header.mark not in PLAIN_FILE:
        return None
    length = min(header.size, max_bytes + 1)
    body = read_at(file, offset + BLOCK_BYTES, length)
    return body if len(body) == length else None


def read_at(file: IO[bytes], position: int, length: int) -> bytes:
    file.seek(position)
    return file.read(length)
