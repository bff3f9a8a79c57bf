"""Bytes that begin as a JPEG meet Pillow's JPEG parser alone, whatever else they may be."""

import io

import pytest
from PIL import Image

from pipelines.decoding.picture import DecodeLimits, StoredImage
from pipelines.fetching.refused import Refused
from pipelines.imaging import make_picture

PHOTO_CD_MARK_BYTE = 2048
PHOTO_CD_PIXELS_BYTE = 96 * 2048
PHOTO_CD_PIXELS = 768 * 512


def photo_cd_behind_a_jpeg_mark() -> bytes:
    """A Photo CD picture: the format is known by bytes that stand far behind a file's beginning."""
    head = b"\xff\xd8\xff".ljust(PHOTO_CD_MARK_BYTE, b"\0")
    return (head + b"PCD_OPA").ljust(PHOTO_CD_PIXELS_BYTE, b"\0") + bytes(PHOTO_CD_PIXELS * 3 // 2)


def test_is_a_picture_to_a_reader_that_tries_every_parser() -> None:
    with Image.open(io.BytesIO(photo_cd_behind_a_jpeg_mark())) as image:
        image.load()

        assert (image.format, image.size) == ("PCD", (768, 512))


def test_tries_no_other_parser_than_that_of_the_first_bytes() -> None:
    with pytest.raises(Refused, match="decode_error"):
        make_picture(photo_cd_behind_a_jpeg_mark(), DecodeLimits(), StoredImage())
