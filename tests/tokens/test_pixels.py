"""Stored pictures come back as they were stored."""

import cv2
import numpy as np
import pytest

from tokens.pixels import read_stored

PICTURE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def encode(suffix: str, pixels: np.ndarray) -> bytes:
    done, data = cv2.imencode(suffix, pixels[..., ::-1])
    assert done
    return data.tobytes()


def test_a_stored_png_comes_back_bit_for_bit_in_rgb_order() -> None:
    assert np.array_equal(read_stored(encode(".png", PICTURE)), PICTURE)


def test_a_stored_jpeg_comes_back_nearly_in_rgb_order() -> None:
    red = np.zeros((16, 24, 3), np.uint8)
    red[..., 0] = 200
    pixels = read_stored(encode(".jpg", red))
    assert pixels.shape == (16, 24, 3)
    assert np.abs(pixels.astype(int) - red).max() <= 3


def test_a_grey_picture_comes_back_with_three_equal_colours() -> None:
    done, data = cv2.imencode(".png", PICTURE[..., 0])
    assert done
    assert np.array_equal(read_stored(data.tobytes()), PICTURE[..., :1].repeat(3, axis=2))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="no bytes"),
        pytest.param(b"<html></html>", id="a page"),
        pytest.param(encode(".png", PICTURE)[:40], id="a cut picture"),
    ],
)
def test_refuses_damaged_bytes_in_one_sentence(data: bytes) -> None:
    with pytest.raises(ValueError, match="the file is damaged"):
        read_stored(data)
