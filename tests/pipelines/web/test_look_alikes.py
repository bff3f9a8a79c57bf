"""Lines of perceptual hashes, and the pictures that they speak of."""

from importlib.util import find_spec

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from pipelines.web import look_alikes
from pipelines.web.look_alikes import PDQ, PHASH, LookAlikes, hash_picture, require_pdqhash

Pixels = npt.NDArray[np.uint8]
BITS = "0123456789abcdef"
needs_pdqhash = pytest.mark.skipif(not find_spec("pdqhash"), reason="an extra")


def draw(seed: int, side_px: int = 288) -> Pixels:
    """A picture with features: blots of colour."""
    draws = np.random.default_rng(seed)
    coarse = draws.integers(0, 256, (9, 12, 3), np.uint8)
    return cv2.resize(coarse, (side_px * 4 // 3, side_px), interpolation=cv2.INTER_CUBIC)


def squeeze(pixels: Pixels) -> Pixels:
    """Half as wide and high, and compressed badly."""
    small = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def listing(*lines: str) -> LookAlikes:
    looks = LookAlikes()
    for line in lines:
        assert looks.add(line), line
    looks.index()
    return looks


@pytest.mark.parametrize("kind", [PHASH, pytest.param(PDQ, marks=needs_pdqhash)])
def test_finds_a_copy_that_was_scaled_and_compressed_and_nothing_else(kind: str) -> None:
    listed = hash_picture(draw(1), {kind})[kind]
    looks = listing(f"{kind}:{listed.hex()}")

    assert [entry[2] for entry in looks.find(hash_picture(squeeze(draw(1)), {kind}))] == [listed]
    assert not list(looks.find(hash_picture(draw(2), {kind})))


def test_each_line_has_its_own_distance() -> None:
    near, far = (0b111).to_bytes(8, "big"), (0b11111).to_bytes(8, "big")
    looks = listing(f"phash:{bytes(8).hex()}", f"phash:{bytes(8).hex()} 5")

    assert [bits for _, bits, _ in looks.find({PHASH: near})] == [3, 5]
    assert [bits for _, bits, _ in looks.find({PHASH: far})] == [5]
    assert not list(looks.find({PDQ: bytes(32)}))
    assert len(looks) == 2


@needs_pdqhash
def test_pdq_is_written_as_others_write_it() -> None:
    """Bits of a fixed picture, as pdqhash's words from the last to the first: Meta's order."""
    import pdqhash

    digest = hash_picture(draw(3), {PDQ})[PDQ]
    bits, _ = pdqhash.compute(draw(3))

    assert digest.hex() == f"{int(''.join(map(str, bits)), 2):064x}"


@needs_pdqhash
def test_a_picture_without_features_has_no_pdq_hash() -> None:
    grey = np.full((288, 288, 3), 128, np.uint8)

    assert PDQ not in hash_picture(grey, {PDQ, PHASH})
    assert PHASH in hash_picture(grey, {PDQ, PHASH})


@pytest.mark.parametrize(
    "line",
    [
        f"phash:{BITS[:-1]}",
        f"phash:{BITS}0",
        f"phash:{BITS} 12",
        f"phash:{BITS} -1",
        f"phash: {BITS}",
        f"pdq:{BITS}",
        f"pdq:{BITS * 4} 48",
        f"dhash:{BITS}",
        "phash:",
        BITS,
    ],
)
def test_leaves_other_lines_to_others(line: str) -> None:
    assert not LookAlikes().add(line)


@pytest.mark.parametrize(
    "line", [f"PHASH:{BITS.upper()}", f"phash:{BITS} 11", f"pdq:{BITS * 4} 47"]
)
def test_takes(line: str) -> None:
    assert LookAlikes().add(line)


def test_says_how_to_get_pdq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_alikes, "find_spec", lambda name: None)

    with pytest.raises(ValueError, match=r"block\.txt lists PDQ.*'pairmill\[pdq\]'"):
        require_pdqhash("block.txt")
