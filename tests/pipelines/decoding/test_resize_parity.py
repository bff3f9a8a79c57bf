"""What we store of a file against what img2dataset stores of it, both by averages of areas."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest

from pipelines.imaging import decode_image, store_image
from tests.pipelines.inputs.picture_files import noise, saved, smooth
from tokens.crops import centre_crop

SIDE_PX = 256
SIZES = [(640, 480), (480, 640), (333, 777), (1001, 999), (300, 257), (1024, 512)]

Resize = Callable[[bytes, str], np.ndarray]


@pytest.fixture(scope="module")
def resize_theirs() -> Iterator[Resize]:
    """A file's bytes and a resize mode to the pixels that img2dataset's Resizer makes of them."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of imghdr, and whatever its imports have to say
        patch.setenv("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask a server for its version
        from img2dataset import resizer

        # It points file descriptors 1 and 2 elsewhere while it works: pytest's own among them.
        patch.setattr(resizer, "SuppressStdoutStderr", contextlib.nullcontext)

        def resize(data: bytes, mode: str) -> np.ndarray:
            act = resizer.Resizer(SIDE_PX, mode, True, encode_format="png", encode_quality=1)
            assert act.downscale_interpolation == cv2.INTER_AREA
            stored, *_, error = act(io.BytesIO(data))
            assert error is None
            return decode_image(stored).pixels

        yield resize


def resize_ours(data: bytes) -> np.ndarray:
    return decode_image(store_image(decode_image(data).pixels, SIDE_PX, "png")[0]).pixels


def mean_difference(one: np.ndarray, other: np.ndarray) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
@pytest.mark.parametrize("draw", [smooth, lambda *size: noise("RGB", *size)], ids=["soft", "noise"])
def test_resizes_as_img2dataset_does(
    resize_theirs: Resize, draw: Callable[..., object], image_format: str, size: tuple[int, int]
) -> None:
    data = saved(draw(*size), image_format)
    ours = resize_ours(data)

    assert mean_difference(ours, resize_theirs(data, "keep_ratio")) <= 1
    # What held-out pictures are encoded from, cut out of what is stored.
    assert mean_difference(centre_crop(ours, SIDE_PX), resize_theirs(data, "center_crop")) <= 1


@pytest.mark.parametrize("size", [(200, 300), (256, 300)])
@pytest.mark.parametrize("mode", ["keep_ratio", "center_crop"])
def test_leaves_a_small_picture_as_img2dataset_does(
    resize_theirs: Resize, mode: str, size: tuple[int, int]
) -> None:
    data = saved(smooth(*size), "PNG")

    np.testing.assert_array_equal(resize_ours(data), resize_theirs(data, mode))
