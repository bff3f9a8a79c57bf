"""Crops keep to the ranges of Listings 1 and 2, and one key gives one crop."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokens.crops import centre_crop, listing1_crop, listing2_crop
from tokens.draw import keyed_generator


class Draws:
    """A generator that records each range it is asked for and answers with one end of it."""

    def __init__(self, highest: bool, flip: bool = False) -> None:
        self.ranges: list[tuple[int, int]] = []
        self._highest = highest
        self._flip = flip

    def integers(self, low: int, high: int, endpoint: bool) -> int:
        assert endpoint and low <= high
        self.ranges.append((low, high))
        return high if self._highest else low

    def random(self) -> float:
        return 0.25 if self._flip else 0.75


def ramp(height: int, width: int) -> np.ndarray:
    """A picture whose red is the column and whose green is the row."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.arange(width)[None] % 256
    pixels[..., 1] = np.arange(height)[:, None] % 256
    return pixels


@pytest.mark.parametrize(
    ("height", "width", "side_px", "zoom"),
    [
        pytest.param(600, 500, 256, (288, 384), id="a large picture zooms from 288 to 384"),
        pytest.param(300, 500, 256, (288, 300), id="a short side of 300 limits the zoom"),
        pytest.param(256, 256, 256, (256, 256), id="a picture of the side itself stays as it is"),
        pytest.param(600, 500, 128, (144, 192), id="half the side halves the limits"),
    ],
)
def test_listing1_draws_from_its_ranges(
    height: int, width: int, side_px: int, zoom: tuple[int, int]
) -> None:
    draws = Draws(highest=True)
    listing1_crop(ramp(height, width), side_px, draws)  # type: ignore[arg-type]
    short_px = min(height, width)
    offsets = [(0, height - short_px), (0, width - short_px)]
    assert draws.ranges == [*offsets, zoom, *[(0, zoom[1] - side_px)] * 2]


@pytest.mark.parametrize(
    ("height", "width", "side_px", "offsets", "zoom"),
    [
        pytest.param(
            300, 380, 256, [(0, 0), (30, 49)], (256, 288), id="from 3/8 to below 5/8 of the slack"
        ),
        pytest.param(
            270, 271, 256, [(0, 0), (0, 0)], (256, 270), id="a slack of one pixel has one offset"
        ),
        pytest.param(
            150, 130, 128, [(7, 11), (0, 0)], (128, 130), id="half the side halves the limits"
        ),
    ],
)
def test_listing2_draws_from_its_ranges(
    height: int,
    width: int,
    side_px: int,
    offsets: list[tuple[int, int]],
    zoom: tuple[int, int],
) -> None:
    draws = Draws(highest=False)
    listing2_crop(ramp(height, width), side_px, draws)  # type: ignore[arg-type]
    assert draws.ranges == [*offsets, zoom, *[(0, 0)] * 2]


def test_listing1_flips_left_to_right_and_not_top_to_bottom() -> None:
    picture = ramp(64, 64)
    kept = listing1_crop(picture, 64, Draws(highest=False))  # type: ignore[arg-type]
    flipped = listing1_crop(picture, 64, Draws(highest=False, flip=True))  # type: ignore[arg-type]
    assert np.array_equal(kept, picture)
    assert np.array_equal(flipped, picture[:, ::-1])


def test_listing2_never_flips() -> None:
    picture = ramp(64, 64)
    for number in range(20):
        crop = listing2_crop(picture, 64, np.random.default_rng(number))
        assert np.array_equal(crop, picture)


def test_the_centre_crop_is_the_middle_square() -> None:
    assert np.array_equal(centre_crop(ramp(16, 40), 16), ramp(16, 40)[:, 12:28])


def test_shrinking_averages_whole_areas() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (centre_crop(stripes, 32) == 100).all()


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(16, 90),
    width=st.integers(16, 90),
    side_px=st.sampled_from([8, 16]),
    seed=st.integers(0, 2**32),
)
def test_every_crop_is_a_square_of_the_side_cut_from_the_picture(
    height: int, width: int, side_px: int, seed: int
) -> None:
    picture = np.full((height, width, 3), (10, 20, 30), np.uint8)
    for crop in (
        listing1_crop(picture, side_px, np.random.default_rng(seed)),
        listing2_crop(picture, side_px, np.random.default_rng(seed)),
        centre_crop(picture, side_px),
    ):
        assert crop.shape == (side_px, side_px, 3)
        assert crop.dtype == np.uint8 and crop.flags.c_contiguous
        assert (crop == (10, 20, 30)).all()


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_the_same_key_gives_the_same_crop(seed: int) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    for crop in (listing1_crop, listing2_crop):
        first = crop(picture, 32, np.random.default_rng(seed))
        assert np.array_equal(first, crop(picture, 32, np.random.default_rng(seed)))


@pytest.mark.parametrize(
    ("crop", "digest"),
    [
        pytest.param(listing1_crop, "5bcba1d8b4c524bc", id="Listing 1"),
        pytest.param(listing2_crop, "17c71bbd1acb16e0", id="Listing 2"),
    ],
)
def test_a_fixed_key_gives_the_crop_it_always_gave(crop: object, digest: str) -> None:
    picture = np.random.default_rng(5).integers(0, 256, (200, 150, 3), dtype=np.uint8)
    pixels = crop(picture, 128, keyed_generator(b"pair", "crop"))  # type: ignore[operator]
    assert hashlib.sha256(pixels.tobytes()).hexdigest()[:16] == digest


@pytest.mark.parametrize("crop", [listing1_crop, listing2_crop])
def test_refuses_a_picture_below_the_side(crop: object) -> None:
    with pytest.raises(ValueError, match="31 x 40 px has no crop of 32 px"):
        crop(ramp(40, 31), 32, np.random.default_rng(0))  # type: ignore[operator]
    with pytest.raises(ValueError, match="31 x 40 px has no crop of 32 px"):
        centre_crop(ramp(40, 31), 32)
