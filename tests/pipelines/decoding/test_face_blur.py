"""Faces that a source has boxed are blurred, those and no others, whichever way a picture lies."""

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines.decoding.decoders import Decoders
from pipelines.decoding.face_blur import blur_faces
from pipelines.decoding.painting import UPRIGHT
from pipelines.decoding.picture import DecodeLimits, StoredImage
from pipelines.fetch import fetch_rows
from pipelines.fetching.session import FetchSession
from pipelines.imaging import make_picture
from pipelines.inputs.face_boxes import MAX_BOXES, UNREADABLE, are_sound, read_boxes
from pipelines.inputs.source import Row
from pipelines.sources import make_rows_table
from pipelines.web.addresses import AddressGuard
from pipelines.web.faultserver import FaultServer, fault_server
from pipelines.web.settings import FetchSettings
from tests.pipelines.inputs.picture_files import saved

LIMITS, STORED = DecodeLimits(), StoredImage(80, "png")
WIDTH, HEIGHT = 160, 120
FACE = (0.25, 0.25, 0.5, 0.75)
"""Columns 40 to 79 and rows 30 to 89 of a picture of 160 x 120."""


def checks(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Fine squares: wherever it is blurred, it is grey."""
    rows, columns = np.indices((height, width)) // 2
    return np.repeat(((rows + columns) % 2 * 255).astype(np.uint8)[:, :, None], 3, axis=2)


def contrast(pixels: np.ndarray) -> float:
    return float(pixels.astype(float).std())


def test_the_face_is_grey_and_what_is_far_from_it_is_as_it_was() -> None:
    blurred = blur_faces(checks(), FACE, 1)
    assert contrast(checks()) > 120
    assert contrast(blurred[30:90, 40:80]) < 25
    far = np.ones((HEIGHT, WIDTH), bool)
    far[30 - 30 : 90 + 30, 40 - 30 : 80 + 30] = False  # grown by 6, softened over 4 x 6
    assert (blurred[far] == checks()[far]).all()


def test_golden() -> None:
    """What was blurred once is blurred so again, until someone means to change it."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 130, 3), np.uint8)
    digests = [
        hashlib.sha256(blur_faces(noise, boxes, orientation).tobytes()).hexdigest()[:16]
        for boxes, orientation in (
            ((0.1, 0.1, 0.3, 0.4), 1),
            ((0.1, 0.1, 0.3, 0.4), 6),
            ((0.0, 0.0, 1.0, 1.0), 1),
            ((0.1, 0.1, 0.15, 0.15, 0.7, 0.6, 1.1, 0.9), 1),
        )
    ]
    assert digests == GOLDEN


GOLDEN = ["d70b0976e92f8d2e", "dafbacb5768f4dde", "d971da47496f08a6", "eac2689550b9fd10"]


def test_it_is_the_gaussian_that_the_source_of_the_method_describes() -> None:
    """sigma a tenth of the longest side, over the mask, too; here without any short cut."""
    pixels = cv2.GaussianBlur(
        np.random.default_rng(1).integers(0, 256, (400, 500, 3), np.uint8), (0, 0), 3
    )
    box = (0.2, 0.25, 0.6, 0.75)  # 200 x 200 pixels
    mask = np.zeros((400, 500), np.float32)
    mask[100 - 20 : 300 + 20, 100 - 20 : 300 + 20] = 1
    soft = cv2.GaussianBlur(mask, (161, 161), 20, borderType=cv2.BORDER_REPLICATE)[:, :, None]
    wide = cv2.GaussianBlur(
        pixels.astype(np.float32), (161, 161), 20, borderType=cv2.BORDER_REPLICATE
    )
    expected = pixels * (1 - soft) + wide * soft

    error = np.abs(blur_faces(pixels, box, 1) - expected)

    assert error.mean() < 0.6
    assert error.max() < 6


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_boxes_are_of_the_picture_as_it_lies_in_its_file(orientation: int) -> None:
    lying = checks()
    upright = np.ascontiguousarray(UPRIGHT[orientation](lying))
    expected = UPRIGHT[orientation](blur_faces(lying, FACE, 1))
    assert np.abs(blur_faces(upright, FACE, orientation).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_decoded_picture_is_blurred_where_its_file_says(
    orientation: int, image_format: str
) -> None:
    """A JPEG of this size is decoded at a fraction of it."""
    pixels = np.full((480, 640, 3), 255, np.uint8)
    pixels[np.arange(480) // 24 % 2 == 0] = 0  # stripes, which the stored size still shows
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = saved(Image.fromarray(pixels), image_format, exif=exif)

    stored = cv2.imdecode(
        np.frombuffer(make_picture(body, LIMITS, STORED, FACE).image, np.uint8), cv2.IMREAD_COLOR
    )
    plain = cv2.imdecode(
        np.frombuffer(make_picture(body, LIMITS, STORED).image, np.uint8), cv2.IMREAD_COLOR
    )
    changed = np.abs(stored.astype(int) - plain).max(axis=2) > 20

    face = np.zeros((480, 640), np.uint8)
    face[120:360, 160:320] = 1
    expected = cv2.resize(
        np.ascontiguousarray(UPRIGHT[orientation](face)),
        changed.shape[::-1],
        interpolation=cv2.INTER_NEAREST,
    )
    middle = cv2.erode(expected, np.ones((9, 9), np.uint8)).astype(bool)
    far = ~cv2.dilate(expected, np.ones((41, 41), np.uint8)).astype(bool)
    assert changed[middle].mean() > 0.8
    assert not changed[far].any()


def test_the_pixel_hash_is_of_the_picture_as_it_came() -> None:
    body = saved(Image.fromarray(checks()), "PNG")
    plain, blurred = (make_picture(body, LIMITS, STORED, boxes) for boxes in ((), FACE))
    assert blurred.image != plain.image
    assert blurred.pixel_hash == plain.pixel_hash
    assert (blurred.width, blurred.height) == (plain.width, plain.height)


@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param((), id="none"),
        pytest.param((0.5, 0.5, 0.5, 0.5), id="a point between pixels"),
        pytest.param((1.2, 0.2, 1.6, 0.4), id="outside"),
        pytest.param((-0.9, -0.9, -0.5, -0.5), id="before"),
    ],
)
def test_a_box_that_covers_nothing_blurs_nothing(boxes: tuple[float, ...]) -> None:
    pixels = checks()
    assert blur_faces(pixels, boxes, 1) is pixels


@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param((0.5, 0.75, 0.25, 0.25), id="inverted"),
        pytest.param((0.5, 0.25, 0.25, 0.75), id="left and right inverted"),
    ],
)
def test_corners_may_be_given_in_any_order(boxes: tuple[float, ...]) -> None:
    assert (blur_faces(checks(), boxes, 1) == blur_faces(checks(), FACE, 1)).all()


def test_the_smallest_face_is_blurred() -> None:
    blurred = blur_faces(checks(), (0.5, 0.5, 0.501, 0.501), 1)
    assert (blurred != checks()).any()


@given(
    st.lists(st.tuples(*[st.floats(-1, 2, width=32)] * 4), max_size=4),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(sorted(UPRIGHT)),
)
def test_any_sound_boxes_blur_any_picture(
    boxes: list[tuple[float, ...]], width: int, height: int, orientation: int
) -> None:
    flat = tuple(number for box in boxes for number in box)
    assert are_sound(flat)
    pixels = checks(width, height)
    blurred = blur_faces(pixels, flat, orientation)
    assert (blurred.shape, blurred.dtype) == (pixels.shape, pixels.dtype)


@pytest.mark.timeout(30)
def test_as_many_faces_as_there_may_be_take_no_longer() -> None:
    draws = np.random.default_rng(0).random(4 * MAX_BOXES)
    assert blur_faces(checks(1000, 800), tuple(draws), 1).shape == (800, 1000, 3)


@pytest.mark.parametrize(
    ("cell", "boxes"),
    [
        (None, None),
        ("", None),
        (" ", None),
        ("[]", None),
        ("null", None),
        (b"[[0, 0, 1, 1]]", (0.0, 0.0, 1.0, 1.0)),
        ("[[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)),
        ("[[0.1, 0.2, 0.3]]", UNREADABLE),
        ("[0.1, 0.2, 0.3, 0.4]", UNREADABLE),
        ('[["0.1", 0.2, 0.3, 0.4]]', UNREADABLE),
        ("[[true, 0, 1, 1]]", UNREADABLE),
        ("[[null, 0, 1, 1]]", UNREADABLE),
        ("{}", None),
        ('{"a": 1}', UNREADABLE),
        ("3", UNREADABLE),
        ("a face", UNREADABLE),
        ("[" * 100_000, UNREADABLE),
        ("[[1" + "0" * 400 + ", 0, 1, 1]]", UNREADABLE),
        (b"\xff", UNREADABLE),
    ],
)
def test_a_cell_of_boxes_is_read_or_known_to_be_unreadable(
    cell: str | bytes | None, boxes: tuple[float, ...] | None
) -> None:
    found = read_boxes(cell)
    assert found == boxes or (found is not None and math.isnan(found[0]))
    assert (boxes is UNREADABLE) == (found is UNREADABLE)


@pytest.mark.parametrize(
    ("boxes", "sound"),
    [
        pytest.param((), True, id="none"),
        pytest.param((0.0, 0.0, 1.0, 1.0), True, id="the whole"),
        pytest.param((-0.05, 0.2, 1.05, 0.4), True, id="over the edge"),
        pytest.param((0.5, 0.5, 0.1, 0.1), True, id="inverted"),
        pytest.param((0.0, 0.0, 1.0, 2.01), False, id="far out"),
        pytest.param((120.0, 30.0, 180.0, 90.0), False, id="in pixels"),
        pytest.param((math.nan, 0.0, 1.0, 1.0), False, id="nan"),
        pytest.param((math.inf, 0.0, 1.0, 1.0), False, id="infinite"),
        pytest.param((0.0, 0.0, 1.0), False, id="three numbers"),
        pytest.param(UNREADABLE, False, id="unreadable"),
        pytest.param((0.1, 0.1, 0.2, 0.2) * MAX_BOXES, True, id="as many as may be"),
        pytest.param((0.1, 0.1, 0.2, 0.2) * (MAX_BOXES + 1), False, id="one more"),
    ],
)
def test_boxes_are_sound_or_not(boxes: tuple[float, ...], sound: bool) -> None:
    assert are_sound(boxes) is sound


def test_a_child_blurs_as_we_would() -> None:
    body = saved(Image.fromarray(checks()), "PNG")
    boxes = tuple(float(number) for number in np.float32((0.1, 0.2, 0.4, 0.6) * MAX_BOXES))
    with Decoders(1, LIMITS, STORED, 30.0, 2**30) as pool:
        for face_boxes in ((), boxes, (), FACE):
            assert pool.make_picture(body, face_boxes) == make_picture(
                body, LIMITS, STORED, face_boxes
            )


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with fault_server(pages={"/face.png": saved(Image.fromarray(checks()), "PNG")}) as server:
        yield server


@pytest.mark.parametrize("engine", ["pairmill", "img2dataset", "at hand"])
def test_every_way_to_fetch_blurs_where_the_recipe_says_so_and_there_alone(
    server: FaultServer, tmp_path: Path, engine: str
) -> None:
    settings = FetchSettings(guard=AddressGuard(("127.0.0.1/32",), (server.port,)), host_delay_s=0)
    row = Row(server.url("/face.png"), "a face")
    if engine == "at hand":
        (tmp_path / "face.png").write_bytes(saved(Image.fromarray(checks()), "PNG"))
        row, engine = row._replace(shard=".", member="file:face.png"), "pairmill"
    rows = make_rows_table(
        [row._replace(face_boxes=boxes) for boxes in (None, FACE, (9.0,) * 4, UNREADABLE)], 0, 0
    )

    def fetch(image: StoredImage) -> list[dict[str, object]]:
        with FetchSession(settings, image, engine) as session:
            pairs = fetch_rows(rows, session, lambda _: None, [str(tmp_path)])
        return pairs.to_pylist()

    plain = fetch(StoredImage(80, "png"))
    blurred = fetch(StoredImage(80, "png", blur_faces=True))

    assert [pair["outcome"] for pair in plain] == ["ok"] * 4
    assert len({pair["image"] for pair in plain}) == 1
    assert [pair["outcome"] for pair in blurred] == ["ok", "ok", *["face_boxes_invalid"] * 2]
    assert blurred[0]["image"] == plain[0]["image"] != blurred[1]["image"]
    assert blurred[1]["pixel_hash"] == plain[1]["pixel_hash"]
    assert blurred[2]["image"] is None
