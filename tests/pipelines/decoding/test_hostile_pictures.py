"""Pictures made to hurt: what each may cost, and what is left of it."""

import random
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import GifImagePlugin, Image

from pipelines.decoding.decoders import Decoders
from pipelines.decoding.formats import read_webp_size
from pipelines.decoding.picture import DecodeLimits, Picture, StoredImage
from pipelines.fetching.refused import Refused
from pipelines.imaging import decode_image, make_picture
from tests.pipelines.decoding.decoder_children import decoder_children
from tests.pipelines.inputs.picture_files import (
    BLUE,
    RED,
    bombs,
    chunk,
    forge_gif_frame,
    forge_jpeg_size,
    noise,
    png,
    row,
    saved,
    smooth,
    start_of_frame,
    webp_files,
    with_segment,
)

LIMITS, STORED = DecodeLimits(), StoredImage(side_px=32)
FRAMES = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]


@pytest.fixture(scope="module")
def child() -> Iterator[Decoders]:
    limits = DecodeLimits(max_pixels=5_000_000)
    with Decoders(1, limits, STORED, timeout_s=20.0, memory_bytes=2**30) as pool:
        pool.make_picture(saved(noise("RGB"), "PNG"))
        yield pool


def peak_bytes() -> int:
    """The most memory that the only child has ever held."""
    (pid,) = decoder_children()
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def outcome(pool: Decoders, body: bytes) -> Picture | str:
    try:
        return pool.make_picture(body)
    except Refused as refused:
        return refused.reason


def test_a_bomb_costs_no_memory(child: Decoders) -> None:
    before = peak_bytes()

    assert {outcome(child, bomb) for bomb in bombs()} == {"too_many_pixels"}
    assert peak_bytes() - before < 20 * 2**20


def test_reads_no_parser_for_a_format_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [saved(noise("RGB"), name) for name in ("TIFF", "BMP", "ICO", "JPEG2000", "AVIF")]

    def parse(*_: object, **__: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(Image, "open", parse)
    for data in (*files, b"<svg>", b"%PDF-1.7", b"%!PS", b"8BPS\0\1", b"SIMPLE  = T"):
        with pytest.raises(Refused, match="format_refused"):
            make_picture(data, LIMITS, STORED)


def test_a_picture_by_its_beginning_meets_one_parser() -> None:
    tiff_behind_magic = b"\xff\xd8\xff" + saved(noise("RGB"), "TIFF")

    with pytest.raises(Refused, match="decode_error"):
        make_picture(tiff_behind_magic, LIMITS, STORED)


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(b"PK\x03\x04canary", id="zip"),
        pytest.param(b"PK\x03\x04META-INF/canary", id="jar"),
        pytest.param(b"<script>canary</script>", id="HTML"),
    ],
)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "WEBP"])
def test_stores_the_picture_of_a_polyglot_and_not_its_tail(image_format: str, tail: bytes) -> None:
    data = saved(noise("RGB"), image_format)

    picture = make_picture(data + tail, LIMITS, STORED)

    assert picture == make_picture(data, LIMITS, STORED)
    assert b"canary" not in picture.image


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP"])
def test_stores_the_first_frame_of_several(image_format: str) -> None:
    moving = saved(FRAMES[0], image_format, save_all=True, append_images=FRAMES[1:])
    still = saved(FRAMES[0], image_format)

    assert make_picture(moving, LIMITS, STORED).animated
    assert not make_picture(still, LIMITS, STORED).animated
    assert make_picture(moving, LIMITS, STORED).image == make_picture(still, LIMITS, STORED).image


def test_counts_no_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(_: object) -> int:
        raise AssertionError("counted the frames")

    monkeypatch.setattr(GifImagePlugin.GifImageFile, "n_frames", property(count))
    gif = saved(FRAMES[0].convert("P"), "GIF")
    bomb = gif[:-1] + gif[start_of_frame(gif) : -1] * 100_000 + b";"
    started = time.monotonic()

    assert make_picture(bomb, LIMITS, STORED).animated
    assert time.monotonic() - started < 0.5  # a millisecond; reading every frame takes seconds


def test_a_parser_that_takes_quadratic_time_is_cut_off() -> None:
    gif = saved(noise("P"), "GIF")
    at = start_of_frame(gif)
    comments = gif[:at] + b"!\xfe\x01x\0" * 3_000_000 + gif[at:]
    with Decoders(1, LIMITS, STORED, timeout_s=0.5, memory_bytes=2**30) as pool:
        pool.make_picture(gif)
        started = time.monotonic()

        assert outcome(pool, comments) == "decode_timeout"
        assert time.monotonic() - started < 5
        assert isinstance(outcome(pool, gif), Picture)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(png(0, 5, 8, 2, b""), id="PNG, no width"),
        pytest.param(png(5, 0, 8, 2, b""), id="PNG, no height"),
        pytest.param(forge_jpeg_size(saved(noise("RGB"), "JPEG"), 0, 5), id="JPEG, no width"),
        pytest.param(forge_jpeg_size(saved(noise("RGB"), "JPEG"), 5, 0), id="JPEG, no height"),
        pytest.param(forge_gif_frame(saved(noise("P"), "GIF"), 0, 5), id="GIF, no width"),
        pytest.param(forge_gif_frame(saved(noise("P"), "GIF"), 5, 0), id="GIF, no height"),
    ],
)
def test_refuses_a_picture_without_pixels(data: bytes) -> None:
    with pytest.raises(Refused) as caught:
        make_picture(data, LIMITS, STORED)

    assert caught.value.reason in ("decode_error", "too_small")


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1)])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_stores_a_picture_of_any_shape_for_the_filters_to_judge(
    size: tuple[int, int], image_format: str
) -> None:
    picture = make_picture(saved(Image.new("RGB", size), image_format), LIMITS, STORED)

    assert (picture.width, picture.height) == size
    assert (picture.original_width, picture.original_height) == size


def make_large_exif() -> bytes:
    """Turned on its side, with 1 MB that nobody asked for."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "canary " * 150_000
    return exif.tobytes()


@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
def test_a_megabyte_of_metadata_turns_the_picture_and_is_gone(image_format: str) -> None:
    data = saved(noise("RGB", 24, 16), image_format, exif=make_large_exif())

    picture = make_picture(data, LIMITS, STORED)

    assert len(data) > 2**20
    assert (picture.width, picture.height) == (16, 24)
    assert b"canary" not in picture.image and len(picture.image) < 10_000


def test_sixteen_segments_of_metadata_leave_a_jpeg_as_it_is() -> None:
    data = saved(smooth(200, 150), "JPEG")
    wordy = data
    for _ in range(16):
        wordy = with_segment(wordy, b"\xff\xe1", b"Exif\0\0" + b"canary" * 10_000)

    assert len(wordy) > 900_000
    assert make_picture(wordy, LIMITS, STORED) == make_picture(data, LIMITS, STORED)


@pytest.mark.parametrize(
    "size", [pytest.param((100, 60), id="whole"), pytest.param((900, 600), id="scaled")]
)
def test_a_colour_profile_changes_nothing(size: tuple[int, int]) -> None:
    wide = Path(__file__).read_bytes()[:3_000]  # a profile's bytes are never looked at

    plain, profiled = (
        make_picture(saved(smooth(*size), "JPEG", icc_profile=profile), LIMITS, STORED)
        for profile in (b"", wide)
    )

    assert plain == profiled


def test_a_profile_that_unpacks_to_much_more_is_not_unpacked(child: Decoders) -> None:
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(2**24)) for _ in range(8)) + packer.flush()
    bomb = png(1, 1, 8, 2, b"\0\0\0\0", chunk(b"iCCP", b"x\0\0" + packed))
    texts = [chunk(b"zTXt", b"x\0\0" + packed) for _ in range(3)]
    before = peak_bytes()

    for data in (bomb, png(1, 1, 8, 2, b"\0\0\0\0", *texts)):
        assert isinstance(outcome(child, data), Picture | str)
    assert peak_bytes() - before < 50 * 2**20


SOUND = [
    saved(smooth(120, 100), "JPEG"),
    saved(smooth(120, 100), "JPEG", progressive=True),
    saved(noise("RGBA"), "PNG"),
    saved(noise("P"), "GIF"),
    saved(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]),
    saved(noise("RGB"), "WEBP"),
    saved(noise("RGBA"), "WEBP", lossless=True),
    saved(row("I;16", 1, 60_000), "PNG"),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A sound file with bytes changed, cut out, doubled or put in."""
    data = bytearray(draw(st.sampled_from(SOUND)))
    chance = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(1, 6))):
        at = chance.randrange(len(data))
        end = min(len(data), at + chance.choice((1, 2, 4, 100)))
        deed = draw(st.sampled_from(["change", "huge", "cut", "double"]))
        if deed == "change":
            data[at] = chance.randrange(256)
        elif deed == "huge":
            data[at : at + 4] = struct.pack(">I", chance.choice((2**32 - 1, 2**31, 65_535, 0)))
        elif deed == "cut" and len(data) > 200:
            del data[at:end]
        else:
            data[at:at] = data[at:end]
    return bytes(data)


@settings(deadline=None, max_examples=400)
@given(damaged())
def test_any_damage_ends_as_a_picture_or_a_reason_in_time_and_memory(
    child: Decoders, data: bytes
) -> None:
    before = time.monotonic()

    found = outcome(child, data)

    assert isinstance(found, Picture) or found in {
        *("not_an_image", "format_refused", "decode_error", "decode_oom"),
        *("too_many_pixels", "too_small"),
    }
    assert time.monotonic() - before < 5  # measured below 0.1: a loaded machine is no failure
    assert peak_bytes() < 300 * 2**20


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300), st.sampled_from([b"", *(data[:12] for data in SOUND)]))
def test_any_bytes_end_as_a_reason(head: bytes, beginning: bytes) -> None:
    try:
        decode_image(beginning + head, LIMITS)
    except Refused:
        return
    raise AssertionError("three hundred random bytes made a picture")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(png(7_000, 7_000, 1, 0, bytes(7_000 * 876)), id="PNG"),
        pytest.param(saved(Image.new("P", (7_000, 7_000)), "GIF"), id="GIF"),
        pytest.param(
            saved(Image.new("RGB", (5_000, 5_000)), "JPEG", progressive=True, subsampling=0),
            id="progressive JPEG",
        ),
    ],
)
def test_a_picture_that_needs_more_memory_than_there_is_costs_one_row(data: bytes) -> None:
    little = 360 * 2**20  # 280 of it are the libraries' own
    with Decoders(1, LIMITS, STORED, timeout_s=30.0, memory_bytes=little) as pool:
        assert outcome(pool, data) == "decode_oom"
        assert isinstance(outcome(pool, saved(noise("RGB"), "PNG")), Picture)


@pytest.mark.parametrize("data", webp_files(), ids=["lossy", "lossless", "extended", "animated"])
def test_reads_the_size_of_a_webp_before_libwebp_makes_room_for_it(data: bytes) -> None:
    assert decode_image(data, DecodeLimits(max_pixels=24 * 16)).original_width == 24
    assert read_webp_size(data) == (24, 16)
    for length in range(len(data)):
        assert read_webp_size(data[:length]) in (None, (24, 16))
