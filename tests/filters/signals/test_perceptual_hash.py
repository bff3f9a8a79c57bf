import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.signals.perceptual_hash import perceptual_hash


def draw_scene(seed):
    """A smooth coloured picture with a few shapes, 192 x 256 px."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    scene = cv2.resize(coarse, (256, 192), interpolation=cv2.INTER_CUBIC)
    for _ in range(5):
        x, y, radius = (int(number) for number in generator.integers(10, 180, 3))
        colour = tuple(int(number) for number in generator.integers(0, 256, 3))
        cv2.circle(scene, (x, y), radius // 3, colour, -1)
    return scene


def distance(one, other):
    return (perceptual_hash(one) ^ perceptual_hash(other)).bit_count()


def as_jpeg(pixels, quality):
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda scene: as_jpeg(scene, 40), id="compressed to quality 40"),
        pytest.param(
            lambda scene: cv2.resize(scene, (128, 96), interpolation=cv2.INTER_AREA),
            id="half the size",
        ),
        pytest.param(lambda scene: scene // 2 + 64, id="half the contrast"),
    ],
)
def test_hardly_changes_with_the_same_picture(seed, change):
    scene = draw_scene(seed)
    assert distance(scene, change(scene)) <= 3


def test_changes_with_another_picture_or_its_mirror_image():
    scenes = [draw_scene(seed) for seed in range(6)]
    for index, scene in enumerate(scenes):
        assert distance(scene, np.ascontiguousarray(scene[:, ::-1])) > 10
        assert all(distance(scene, other) > 10 for other in scenes[:index])


@settings(deadline=None)  # the machine may be busy
@given(st.integers(1, 255), st.integers(1, 300), st.integers(1, 300))
def test_is_the_same_for_every_flat_picture(grey, height, width):
    assert perceptual_hash(np.full((height, width, 3), grey, np.uint8)) == 1 << 63


def test_of_a_black_picture_is_zero():
    assert perceptual_hash(np.zeros((40, 30, 3), np.uint8)) == 0


def test_is_the_value_that_it_was():
    rows, columns = np.indices((64, 96))
    pattern = (rows * columns // 16 % 256).astype(np.uint8)
    assert f"{perceptual_hash(np.dstack([pattern] * 3)):016x}" == "926d5ab56a54ab52"
