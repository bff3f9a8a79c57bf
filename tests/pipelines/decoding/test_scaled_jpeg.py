import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.decoding.picture import DecodeLimits, StoredImage
from pipelines.decoding.scaled_jpeg import decode_jpeg
from pipelines.fetching.refused import Refused
from pipelines.imaging import decode_image, make_picture, store_image
from tests.pipelines.inputs.picture_files import (
    noise,
    plain_cmyk,
    saved,
    smooth,
    with_segment,
    without_segment,
)

LIMITS = DecodeLimits()
SIDE_PX = 32
STORED = StoredImage(side_px=SIDE_PX, image_format="png")
LARGE = saved(smooth(300, 210), "JPEG", quality=95)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=("JPEG",))


def decoded(data: bytes, side_px: int = SIDE_PX) -> np.ndarray | None:
    return decode_jpeg(data, opened(data), side_px)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return cv2.PSNR(one, other)


@pytest.mark.parametrize(
    ("short", "divisor"),
    [
        pytest.param(95, 1, id="below twice 1.5 x"),
        pytest.param(96, 2, id="just twice 1.5 x"),
        pytest.param(191, 2, id="below four times"),
        pytest.param(192, 4, id="four times"),
        pytest.param(383, 4, id="below eight times"),
        pytest.param(384, 8, id="eight times"),
        pytest.param(2000, 8, id="no further than an eighth"),
        pytest.param(20, 1, id="smaller than what is stored"),
    ],
)
def test_decodes_at_a_half_a_quarter_or_an_eighth(short: int, divisor: int) -> None:
    pixels = decoded(saved(Image.new("RGB", (short + 30, short)), "JPEG"))

    assert pixels is not None
    assert pixels.shape == (-(-short // divisor), -(-(short + 30) // divisor), 3)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 100), st.booleans())
def test_never_decodes_below_one_and_a_half_times_what_is_stored(
    width: int, height: int, side_px: int, progressive: bool
) -> None:
    data = saved(Image.new("RGB", (width, height)), "JPEG", progressive=progressive)

    pixels = decoded(data, side_px)

    assert pixels is not None
    assert min(pixels.shape[:2]) >= min(1.5 * side_px, width, height)
    assert (
        make_picture(data, LIMITS, StoredImage(side_px)).width
        == (store_image(decode_image(data).pixels, side_px, "jpeg")[1])
    )


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(saved(smooth(90, 60), "JPEG", subsampling=2), id="4:2:0"),
        pytest.param(saved(smooth(90, 60), "JPEG", subsampling=1), id="4:2:2"),
        pytest.param(saved(smooth(91, 61), "JPEG", subsampling=0), id="4:4:4"),
        pytest.param(saved(smooth(91, 61), "JPEG", progressive=True), id="progressive"),
        pytest.param(saved(smooth(91, 61).convert("L"), "JPEG"), id="grey"),
        pytest.param(saved(noise("RGB", 91, 61), "JPEG", keep_rgb=True), id="stored as RGB"),
    ],
)
def test_a_whole_decode_is_pillows(data: bytes) -> None:
    np.testing.assert_allclose(decoded(data), decode_image(data).pixels.astype(int), atol=1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_scaled_picture_is_close_to_the_whole_one_however_it_lies(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(smooth(300, 210), "JPEG", quality=95, exif=exif)
    whole = decode_image(data)
    expected, width, height = store_image(whole.pixels, SIDE_PX, "png")

    picture = make_picture(data, LIMITS, STORED)

    assert (picture.width, picture.height) == (width, height)
    assert picture.original_width == whole.original_width == (300 if orientation < 5 else 210)
    assert picture.original_height == whole.original_height
    assert psnr(decode_image(picture.image).pixels, decode_image(expected).pixels) > 30


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(saved(smooth(300, 210).convert("CMYK"), "JPEG"), id="CMYK"),
        pytest.param(plain_cmyk(smooth(300, 210).convert("CMYK")), id="CMYK without a mark"),
        pytest.param(LARGE[: len(LARGE) // 2], id="truncated"),
        pytest.param(LARGE[:-2], id="without its end"),
        pytest.param(without_segment(LARGE, b"\xff\xdb"), id="without a table"),
    ],
)
def test_leaves_to_pillow_what_is_not_plain(data: bytes) -> None:
    assert decoded(data) is None


def test_leaves_to_pillow_a_file_with_two_sizes() -> None:
    larger = saved(smooth(600, 420), "JPEG")

    assert decode_jpeg(larger, opened(LARGE), SIDE_PX) is None


def test_stores_a_cmyk_picture_as_pillow_reads_it() -> None:
    data = saved(smooth(300, 210).convert("CMYK"), "JPEG", quality=95)
    expected = store_image(decode_image(data).pixels, SIDE_PX, "png")[0]

    assert make_picture(data, LIMITS, STORED).image == expected


def test_pillow_has_the_last_word_on_every_prefix() -> None:
    data = saved(smooth(100, 96), "JPEG", quality=30)
    for length in range(1, len(data), 7):
        with pytest.raises(Refused) as caught:
            make_picture(data[:length], LIMITS, STORED)
        assert caught.value.reason in ("decode_error", "not_an_image")


@settings(deadline=None, max_examples=150)
@given(st.integers(0, len(LARGE) - 1), st.integers(0, 255))
def test_keeps_exactly_the_damaged_files_that_pillow_keeps(at: int, value: int) -> None:
    damaged = bytearray(LARGE)
    damaged[at] = value
    limits = DecodeLimits(max_pixels=1_000_000)

    def outcome(act: object) -> str:
        try:
            act()  # type: ignore[operator]
        except Refused as refused:
            return refused.reason
        return "kept"

    assert outcome(lambda: make_picture(bytes(damaged), limits, STORED)) == outcome(
        lambda: decode_image(bytes(damaged), limits)
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(
            LARGE, with_segment(LARGE, b"\xff\xfe", b"a comment"), id="with other metadata"
        ),
        pytest.param(LARGE, LARGE + b"PK\x03\x04", id="with something behind it"),
        pytest.param(
            LARGE,
            saved(smooth(300, 210), "JPEG", quality=95, progressive=True),
            id="the same coefficients in scans",
        ),
        pytest.param(LARGE, saved(smooth(300, 210), "JPEG", quality=95, optimize=True), id="codes"),
        pytest.param(
            saved(smooth(60, 40), "JPEG"),
            saved(opened(saved(smooth(60, 40), "JPEG")), "PNG"),
            id="a PNG made of a small JPEG",
        ),
    ],
)
def test_equal_pictures_have_equal_hashes(one: bytes, other: bytes) -> None:
    assert one != other
    assert make_picture(one, LIMITS, STORED).pixel_hash == (
        make_picture(other, LIMITS, STORED).pixel_hash
    )


def test_the_full_size_is_part_of_the_hash() -> None:
    hashes = {
        make_picture(saved(Image.new("RGB", size), "JPEG"), LIMITS, STORED).pixel_hash
        for size in ((200, 100), (199, 100), (200, 99))
    }

    assert len(hashes) == 3
