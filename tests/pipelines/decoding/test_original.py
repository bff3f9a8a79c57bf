"""What is measured of a picture before it is flattened, shrunk and compressed anew."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines.decoding.picture import DecodeLimits, Picture, StoredImage
from pipelines.fetching.refused import Refused
from pipelines.imaging import make_picture
from tests.pipelines.inputs.picture_files import (
    BLUE,
    RED,
    chunk,
    noise,
    palette,
    plain_cmyk,
    png,
    row,
    saved,
    smooth,
    without_segment,
)

LIMITS, STORED = DecodeLimits(), StoredImage()


def measure(data: bytes) -> Picture:
    return make_picture(data, LIMITS, STORED)


@given(quality=st.integers(1, 100), progressive=st.booleans(), mode=st.sampled_from(["RGB", "L"]))
def test_tells_the_quality_of_every_jpeg_that_libjpeg_made(
    quality: int, progressive: bool, mode: str
) -> None:
    data = saved(noise(mode), "JPEG", quality=quality, progressive=progressive)
    assert measure(data).jpeg_quality == quality


def test_the_quality_of_a_large_jpeg_is_that_of_the_original_not_of_what_is_stored() -> None:
    data = saved(smooth(1_400, 1_000), "JPEG", quality=37)
    picture = measure(data)
    assert (picture.width, picture.jpeg_quality) == (403, 37)
    assert measure(picture.image).jpeg_quality == 95


def test_a_table_of_someones_own_is_told_as_the_nearest_quality() -> None:
    tables = [[2 * (1 + place // 8) for place in range(64)]] * 2
    data = saved(noise("RGB"), "JPEG", qtables=tables)
    assert measure(data).jpeg_quality == 93


@pytest.mark.parametrize("image_format", ["PNG", "GIF", "WEBP"])
def test_what_is_no_jpeg_has_no_quality(image_format: str) -> None:
    assert measure(saved(noise("RGB"), image_format)).jpeg_quality is None


def test_a_jpeg_without_a_table_is_refused_by_its_decoder_and_not_by_us() -> None:
    data = without_segment(saved(noise("L"), "JPEG"), b"\xff\xdb")
    with pytest.raises(Refused) as caught:
        measure(data)
    assert caught.value.reason == "decode_error"


@pytest.mark.parametrize(
    ("data", "share"),
    [
        pytest.param(saved(noise("RGB"), "PNG"), 0, id="no transparency"),
        pytest.param(saved(noise("RGB"), "JPEG"), 0, id="JPEG"),
        pytest.param(plain_cmyk(noise("CMYK")), 0, id="CMYK"),
        pytest.param(saved(row("RGBA", (*RED, 255), (*RED, 255)), "PNG"), 0, id="opaque alpha"),
        pytest.param(saved(row("RGBA", (*RED, 0), (*RED, 0)), "PNG"), 1, id="nothing painted"),
        pytest.param(
            saved(row("RGBA", (*RED, 255), (*RED, 0), (*RED, 204), (*RED, 51)), "PNG"),
            (0 + 1 + 0.2 + 0.8) / 4,
            id="half through",
        ),
        pytest.param(
            saved(palette(RED, BLUE), "PNG", transparency=bytes([255, 0])), 0.5, id="palette"
        ),
        pytest.param(saved(palette(RED, BLUE), "GIF", transparency=0), 0.5, id="GIF"),
        pytest.param(
            png(2, 1, 16, 0, b"\0" + struct.pack(">2H", 300, 0x8000), chunk(b"tRNS", b"\1\x2c")),
            0.5,
            id="16-bit grey",
        ),
        pytest.param(
            saved(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "WEBP", lossless=True), 1, id="WebP"
        ),
    ],
)
def test_tells_how_much_of_the_paper_shows(data: bytes, share: float) -> None:
    assert measure(data).transparency_ratio == pytest.approx(share, abs=1e-6)
