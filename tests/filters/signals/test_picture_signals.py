"""Golden pictures, drawn here, and what each signal says of them."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from filters.signals.border import border_ratio
from filters.signals.entropy import entropy_bits
from filters.signals.flatness import flat_ratio
from filters.signals.sharpness import sharpness

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
SIGNALS = (border_ratio, entropy_bits, flat_ratio, sharpness)


def blank(height=80, width=100, colour=WHITE):
    return np.full((height, width, 3), colour, np.uint8)


def noise(height=80, width=100, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def framed(inside, above=0, below=0, left=0, right=0, colour=BLACK):
    sides = (above, below, left, right)
    return cv2.copyMakeBorder(inside, *sides, cv2.BORDER_CONSTANT, value=colour)


def as_jpeg(pixels, quality=75):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def checkers(side=256, square=8):
    board = (np.indices((side, side)) // square).sum(axis=0) % 2 * 255
    return np.repeat(board.astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        pytest.param(blank(), 1.0, id="blank"),
        pytest.param(framed(blank(40, 100), above=40), 0.5, id="half white, half black"),
        pytest.param(framed(blank(30, 100), above=50), 0.625, id="the larger part counts"),
        pytest.param(
            np.dstack([np.tile(np.arange(256), (4, 1))] * 3).astype(np.uint8),
            15 / 256,
            id="a ramp: a box of eight and what is near",
        ),
    ],
)
def test_flatness_is_the_share_of_the_most_frequent_colour(pixels, expected):
    assert flat_ratio(pixels) == pytest.approx(expected, abs=0.02)


def test_noise_is_not_flat():
    assert flat_ratio(noise()) < 0.005


def test_a_colour_on_the_edge_between_boxes_is_counted_whole():
    edge = 128 + np.random.default_rng(0).integers(-3, 4, (60, 60, 3))
    assert flat_ratio(edge.astype(np.uint8)) == 1.0


def test_jpeg_hides_no_flat_area():
    logo = blank(200, 200)
    cv2.circle(logo, (100, 100), 50, (200, 30, 30), -1)
    assert flat_ratio(as_jpeg(logo)) == pytest.approx(flat_ratio(logo), abs=0.03)


@pytest.mark.parametrize(
    ("pixels", "bits"),
    [
        pytest.param(blank(), 0.0, id="blank"),
        pytest.param(framed(blank(40, 100), above=40), 1.0, id="two values, equally"),
        pytest.param(framed(blank(20, 100), above=60), 0.8112781, id="two values, one to three"),
        pytest.param(
            np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None], 3, 2),
            8.0,
            id="every value once",
        ),
    ],
)
def test_entropy_is_shannons(pixels, bits):
    assert entropy_bits(pixels) == pytest.approx(bits, abs=1e-6)


def test_sharpness_falls_with_every_blur():
    board = checkers()
    blurred = [cv2.GaussianBlur(board, (0, 0), sigma) for sigma in (0.5, 1, 2, 4)]
    measured = [sharpness(pixels) for pixels in (board, *blurred)]
    assert measured == sorted(measured, reverse=True)
    assert measured[0] > 1_000 > 100 > measured[-1]


def test_a_blank_has_no_sharpness():
    assert sharpness(blank()) == 0.0


def test_sharpness_hardly_knows_the_stored_size():
    photo = cv2.GaussianBlur(cv2.resize(noise(64, 64), (1536, 1536)), (0, 0), 6)
    small, large = (cv2.resize(photo, (s, s), interpolation=cv2.INTER_AREA) for s in (288, 384))
    assert sharpness(small) == pytest.approx(sharpness(large), rel=0.25)


def test_a_small_picture_is_as_blurred_as_it_will_be_seen():
    board = checkers()
    small = cv2.resize(board, (32, 32), interpolation=cv2.INTER_AREA)
    assert sharpness(small) < sharpness(board) / 10


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        pytest.param(noise(), 0.0, id="none"),
        pytest.param(blank(), 1.0, id="blank"),
        pytest.param(framed(noise(60, 100), above=10, below=10), 0.25, id="letterbox"),
        pytest.param(framed(noise(80, 50), left=25, right=25), 0.5, id="pillarbox"),
        pytest.param(
            framed(noise(40, 50), above=20, below=20, left=25, right=25), 0.75, id="a frame"
        ),
        pytest.param(
            framed(framed(noise(40, 50), left=25, right=25, colour=WHITE), above=40),
            0.75,
            id="sides of two colours",
        ),
        pytest.param(
            framed(framed(noise(60, 100), above=10), above=10, colour=WHITE),
            0.125,
            id="another colour further in is no frame",
        ),
        pytest.param(framed(noise(79, 100), above=1), 1 / 80, id="one line"),
    ],
)
def test_border_is_the_share_of_the_frame(pixels, expected):
    assert border_ratio(pixels) == pytest.approx(expected)


def test_jpeg_takes_little_of_a_frame_away():
    pixels = framed(noise(120, 200), above=40, below=40)
    assert border_ratio(as_jpeg(pixels)) == pytest.approx(border_ratio(pixels), abs=0.06)


RANGES = {border_ratio: (0, 1), entropy_bits: (0, 8), flat_ratio: (0, 1), sharpness: (0, 4.2e6)}


@pytest.mark.parametrize("signal", SIGNALS)
@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 400), values=st.sampled_from([2, 16, 256]))
def test_every_shape_has_a_value_in_range(signal, height, width, values):
    pixels = noise(height, width, height) // (256 // values)
    least, most = RANGES[signal]
    assert least <= signal(pixels) <= most


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_signal_leaves_the_picture_as_it_is(signal):
    pixels = noise()
    before = pixels.copy()
    signal(pixels)
    assert np.array_equal(pixels, before)
