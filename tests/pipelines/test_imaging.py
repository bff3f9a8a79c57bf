import contextlib
import io
import struct
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from pipelines.decoding.formats import sniff_format
from pipelines.decoding.picture import DecodeLimits
from pipelines.fetching.refused import Refused
from pipelines.imaging import Decoded, decode_image, pixel_hash, store_image
from tests.pipelines.inputs.picture_files import (
    BLUE,
    GREEN,
    GREY,
    RED,
    bombs,
    chunk,
    noise,
    palette,
    plain_cmyk,
    png,
    row,
    saved,
)

LIMITS = DecodeLimits()


def refusal(data: bytes, limits: DecodeLimits = LIMITS) -> str:
    with pytest.raises(Refused) as caught:
        decode_image(data, limits)
    return caught.value.reason


def colours(decoded: Decoded) -> list[tuple[int, ...]]:
    """The colours of the first row."""
    return [tuple(int(value) for value in pixel) for pixel in decoded.pixels[0]]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(saved(row("RGB", RED, BLUE), "PNG"), [RED, BLUE], id="RGB"),
        pytest.param(saved(row("L", 0, 128), "PNG"), [(0, 0, 0), GREY], id="grey"),
        pytest.param(saved(row("1", 0, 255), "PNG"), [(0,) * 3, (255,) * 3], id="one bit"),
        pytest.param(saved(palette(RED, BLUE), "PNG"), [RED, BLUE], id="palette"),
        pytest.param(
            saved(row("RGBA", (*RED, 255), (*RED, 0), (*RED, 128)), "PNG"),
            [RED, (255,) * 3, (255, 127, 127)],
            id="alpha over white",
        ),
        pytest.param(
            saved(row("LA", (0, 255), (0, 0), (0, 51)), "PNG"),
            [(0,) * 3, (255,) * 3, (204,) * 3],
            id="grey with alpha over white",
        ),
        pytest.param(
            saved(palette(RED, BLUE, GREEN), "PNG", transparency=bytes([255, 0, 102])),
            [RED, (255,) * 3, (153, 255, 153)],
            id="palette with alpha over white",
        ),
        pytest.param(
            saved(row("RGB", RED, BLUE), "PNG", transparency=RED),
            [(255,) * 3, BLUE],
            id="one colour transparent",
        ),
        pytest.param(
            saved(row("L", 7, 8), "PNG", transparency=7), [(255,) * 3, (8,) * 3], id="one grey"
        ),
        pytest.param(
            png(3, 1, 16, 0, b"\0" + struct.pack(">3H", 0, 0x8000, 0xFFFF)),
            [(0,) * 3, GREY, (255,) * 3],
            id="16-bit grey is scaled",
        ),
        pytest.param(
            png(2, 1, 16, 0, b"\0" + struct.pack(">2H", 300, 0x8000), chunk(b"tRNS", b"\1\x2c")),
            [(255,) * 3, GREY],
            id="16-bit grey with one transparent",
        ),
        pytest.param(
            png(2, 1, 16, 2, b"\0" + struct.pack(">6H", 0xFFFF, 0, 0, 0x8000, 0x8000, 0x8000)),
            [RED, GREY],
            id="16-bit colour is scaled",
        ),
        pytest.param(
            png(
                2,
                1,
                16,
                2,
                b"\0" + struct.pack(">6H", 0xFFFF, 0, 0, 0, 0, 0xFFFF),
                chunk(b"tRNS", struct.pack(">3H", 0xFFFF, 0, 0)),
            ),
            [(255,) * 3, BLUE],
            id="16-bit colour with one transparent",
        ),
        pytest.param(
            png(2, 1, 16, 6, b"\0" + struct.pack(">8H", 0xFFFF, 0, 0, 0xFFFF, 0xFFFF, 0, 0, 0)),
            [RED, (255,) * 3],
            id="16-bit colour with alpha",
        ),
        pytest.param(
            png(2, 1, 16, 4, b"\0" + struct.pack(">4H", 0, 0xFFFF, 0, 0)),
            [(0,) * 3, (255,) * 3],
            id="16-bit grey with alpha",
        ),
        pytest.param(saved(palette(RED, BLUE), "GIF"), [RED, BLUE], id="GIF"),
        pytest.param(
            saved(palette(RED, BLUE), "GIF", transparency=0), [(255,) * 3, BLUE], id="GIF, clear"
        ),
        pytest.param(
            saved(row("RGBA", (*RED, 255), (*RED, 0)), "WEBP", lossless=True, exact=True),
            [RED, (255,) * 3],
            id="WebP with alpha",
        ),
        pytest.param(
            saved(row("RGB", RED, BLUE), "WEBP", lossless=True), [RED, BLUE], id="WebP without"
        ),
    ],
)
def test_shows_what_a_person_sees_on_white_paper(
    data: bytes, expected: list[tuple[int, ...]]
) -> None:
    decoded = decode_image(data)

    assert decoded.pixels.dtype == np.uint8
    np.testing.assert_allclose(colours(decoded), expected, atol=1)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(saved(Image.new("RGB", (16, 16), RED), "JPEG", quality=100), RED, id="RGB"),
        pytest.param(saved(Image.new("L", (16, 16), 128), "JPEG", quality=100), GREY, id="grey"),
        pytest.param(
            saved(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG", quality=100),
            (0, 255, 255),
            id="CMYK as Adobe writes it",
        ),
        pytest.param(
            plain_cmyk(Image.new("CMYK", (16, 16), (0, 255, 255, 255))),
            (0, 255, 255),
            id="CMYK as the standard says",
        ),
        pytest.param(
            saved(Image.new("RGB", (16, 16), BLUE), "JPEG", quality=100, progressive=True),
            BLUE,
            id="progressive",
        ),
        pytest.param(
            saved(Image.new("RGB", (16, 16), BLUE), "JPEG", quality=100, icc_profile=b"broken"),
            BLUE,
            id="a broken colour profile is left aside",
        ),
    ],
)
def test_reads_a_jpeg(data: bytes, expected: tuple[int, int, int]) -> None:
    decoded = decode_image(data)

    assert (decoded.format, decoded.animated) == ("jpeg", False)
    assert np.abs(decoded.pixels.astype(int) - expected).max() <= 2


@pytest.mark.parametrize(
    ("orientation", "first_row"),
    [
        (1, [RED, GREEN, BLUE]),
        (2, [BLUE, GREEN, RED]),
        (3, [BLUE, GREEN, RED]),
        (4, [RED, GREEN, BLUE]),
        (5, [RED]),
        (6, [RED]),
        (7, [BLUE]),
        (8, [BLUE]),
        (0, [RED, GREEN, BLUE]),
        (9, [RED, GREEN, BLUE]),
    ],
)
def test_turns_a_picture_upright(orientation: int, first_row: list[tuple[int, ...]]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = row("RGB", RED, GREEN, BLUE)

    decoded = decode_image(saved(image, "PNG", exif=exif))

    assert colours(decoded) == first_row
    assert (decoded.original_width, decoded.original_height) == (
        len(first_row),
        3 // len(first_row),
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_as_pillow_turns(orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(noise("RGB"), "JPEG", exif=exif)

    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))

    np.testing.assert_array_equal(decode_image(data).pixels, expected)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_keeps_a_picture_whose_metadata_is_broken() -> None:
    data = saved(noise("RGB"), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")

    assert decode_image(data).original_width == 24


def test_takes_the_first_frame_and_says_that_there_are_more() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]
    for image_format in ("GIF", "WEBP", "PNG"):
        options = {"lossless": True} if image_format == "WEBP" else {}
        data = saved(frames[0], image_format, save_all=True, append_images=frames[1:], **options)

        decoded = decode_image(data)

        assert decoded.animated
        assert colours(decoded)[0] == RED
        assert not decode_image(saved(frames[0], image_format)).animated


def test_ignores_what_follows_the_picture() -> None:
    data = saved(noise("RGB"), "JPEG")

    tailed = decode_image(data + b"PK\x03\x04" + b"<script>" * 1000)

    np.testing.assert_array_equal(tailed.pixels, decode_image(data).pixels)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "empty_body", id="nothing"),
        pytest.param(b"<!DOCTYPE html><html>", "not_an_image", id="HTML"),
        pytest.param(b'<?xml version="1.0"?><!DOCTYPE html><html/>', "not_an_image", id="XHTML"),
        pytest.param(b'{"error": 404}', "not_an_image", id="JSON"),
        pytest.param(b"hello", "not_an_image", id="text"),
        pytest.param(b"\0" * 100, "not_an_image", id="zeros"),
        pytest.param(b"<svg xmlns=", "format_refused", id="SVG"),
        pytest.param(b'\xef\xbb\xbf <?xml version="1.0"?><svg', "format_refused", id="SVG, XML"),
        pytest.param(b"<?xml?><!DOCTYPE lolz [<!ENTITY", "format_refused", id="XML bomb"),
        pytest.param(b"%PDF-1.7", "format_refused", id="PDF"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF", "format_refused", id="EPS"),
        pytest.param(saved(noise("RGB"), "TIFF"), "format_refused", id="TIFF"),
        pytest.param(saved(noise("RGB"), "BMP"), "format_refused", id="BMP"),
        pytest.param(saved(noise("RGB"), "ICO"), "format_refused", id="ICO"),
        pytest.param(saved(noise("RGB"), "JPEG2000"), "format_refused", id="JPEG 2000"),
        pytest.param(saved(noise("RGB"), "AVIF"), "format_refused", id="AVIF"),
        pytest.param(b"8BPS\0\1", "format_refused", id="PSD"),
        pytest.param(b"SIMPLE  =                    T", "format_refused", id="FITS"),
        pytest.param(b"\0\0\0\x18ftypheic", "format_refused", id="HEIC"),
        pytest.param(b"\xff\xd8\xff\xe0 no more", "decode_error", id="a JPEG's beginning"),
        pytest.param(b"\x89PNG\r\n\x1a\n", "decode_error", id="a PNG's beginning"),
        pytest.param(b"GIF89a", "decode_error", id="a GIF's beginning"),
        pytest.param(b"RIFF\0\0\0\0WEBP", "decode_error", id="a WebP's beginning"),
    ],
)
def test_refuses(data: bytes, reason: str) -> None:
    assert refusal(data) == reason


def test_knows_a_picture_by_its_bytes() -> None:
    for image_format in ("jpeg", "png", "gif", "webp"):
        assert sniff_format(saved(noise("RGB"), image_format)) == image_format


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_refuses_a_truncated_file_unless_every_pixel_is_there(image_format: str) -> None:
    data = saved(noise("RGB"), image_format)
    whole = decode_image(data).pixels
    refused = 0

    for length in range(1, len(data)):
        try:
            pixels = decode_image(data[:length]).pixels
        except Refused:
            refused += 1
        else:
            np.testing.assert_array_equal(pixels, whole)

    assert refused > len(data) - 30  # a checksum and a trailer may go
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_refuses_a_jpeg_without_its_end() -> None:
    assert refusal(saved(noise("RGB"), "JPEG")[:-2]) == "decode_error"


def test_takes_as_many_pixels_as_the_limit_says() -> None:
    data = saved(noise("RGB", 24, 16), "PNG")

    assert decode_image(data, DecodeLimits(max_pixels=24 * 16)).original_width == 24
    assert refusal(data, DecodeLimits(max_pixels=24 * 16 - 1)) == "too_many_pixels"


def test_takes_no_picture_too_long_to_be_stored() -> None:
    data = saved(noise("RGB", 24, 1), "PNG")

    assert decode_image(data, DecodeLimits(max_side_px=24)).original_width == 24
    assert refusal(data, DecodeLimits(max_side_px=23)) == "too_many_pixels"


def test_refuses_a_bomb_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object) -> None:
        raise AssertionError("decoded")

    files = bombs()
    monkeypatch.setattr(ImageFile.ImageFile, "load", decode)
    started = time.monotonic()

    for bomb in files:
        assert refusal(bomb) == "too_many_pixels"
    assert time.monotonic() - started < 0.5


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(deadline=None, derandomize=True)
@given(data=st.data())
def test_raises_nothing_but_a_reason_for_any_damage(data: st.DataObject) -> None:
    image_format = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF"]))
    damaged = bytearray(saved(noise("RGB"), image_format))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))

    with contextlib.suppress(Refused):
        decode_image(bytes(damaged), DecodeLimits(max_pixels=1_000_000))


@pytest.mark.parametrize(
    ("size", "stored"),
    [
        pytest.param((400, 200), (100, 50), id="landscape"),
        pytest.param((200, 400), (50, 100), id="portrait"),
        pytest.param((101, 99), (51, 50), id="rounded to the nearest"),
        pytest.param((50, 50), (50, 50), id="just the side"),
        pytest.param((30, 40), (30, 40), id="never enlarged"),
        pytest.param((3000, 51), (2941, 50), id="long"),
    ],
)
@pytest.mark.parametrize("image_format", ["jpeg", "png"])
def test_shrinks_the_short_side(
    size: tuple[int, int], stored: tuple[int, int], image_format: str
) -> None:
    data, width, height = store_image(np.asarray(noise("RGB", *size)), 50, image_format)

    assert (width, height) == stored
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == (image_format.upper(), stored)


def test_stores_a_png_without_loss() -> None:
    pixels = np.asarray(noise("RGB"))

    data, _, _ = store_image(pixels, 288, "png")

    np.testing.assert_array_equal(decode_image(data).pixels, pixels)


def test_stores_averages_of_areas() -> None:
    board = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(200)
    pixels = np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8)

    data, _, _ = store_image(pixels, 32, "png")

    np.testing.assert_array_equal(decode_image(data).pixels, np.full((32, 32, 3), 100))


def test_stores_no_metadata() -> None:
    exif = Image.Exif()
    exif[0x010F] = "secret maker"
    data = saved(noise("RGB"), "JPEG", exif=exif)
    assert b"secret maker" in data

    assert b"secret maker" not in store_image(decode_image(data).pixels, 288, "jpeg")[0]


def test_equal_pictures_have_equal_hashes_whatever_their_file() -> None:
    image = noise("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = image.rotate(90, expand=True)

    hashes = {
        pixel_hash(decode_image(data).pixels)
        for data in (
            saved(image, "PNG"),
            saved(image, "WEBP", lossless=True),
            saved(turned, "PNG", exif=exif),
        )
    }

    assert len(hashes) == 1


def test_hash_is_the_documented_one() -> None:
    assert pixel_hash(np.zeros((1, 2, 3), np.uint8)).hex() == pixel_hash_by_hand()


def pixel_hash_by_hand() -> str:
    import xxhash

    return xxhash.xxh3_128_hexdigest(b"\2\0\0\0\1\0\0\0" + bytes(6))


def test_the_size_is_part_of_the_hash() -> None:
    flat = np.zeros((2, 6, 3), np.uint8)

    assert pixel_hash(flat) != pixel_hash(flat.reshape(6, 2, 3))
