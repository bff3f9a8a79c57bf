"""How alike two pictures are, by small colour thumbnails: a measure that owes nothing to our hash.

A picture is laid on white, cut to what is drawn on it, and made 16 x 16 in colour whatever its
shape; two thumbnails are compared by the correlation of their 768 numbers. A drawing keeps its
place in that order when its size, its margins, its brightness or its contrast change.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

SIDE_PX = 16
MAX_PIXELS = 100_000_000
"""Three pictures have 231 to 623 megapixels, which every recipe refuses: left out."""
FLAT_NORM = 160.0
"""Added to a thumbnail's contrast (of 768 levels in all: 6 grey levels a number), so that two
pictures on which there is next to nothing to see do not come out as each other's likeness."""
INK_LEVELS = 8
"""A pixel this far from white belongs to the drawing."""
BLOCK_ROWS = 512


def distinct_files(png: Path, paths: Sequence[str]) -> list[str]:
    """The first path of every different file of at most `MAX_PIXELS`."""
    first: dict[bytes, str] = {}
    for path in paths:
        content = (png / path).read_bytes()
        width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))  # PNG's header
        if width * height <= MAX_PIXELS:
            first.setdefault(hashlib.sha256(content).digest(), path)
    return sorted(first.values())


def read_on_white(file: Path) -> np.ndarray:
    """uint8 (height, width, 3), blue first; what is transparent is white."""
    picture = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    if picture.dtype == np.uint16:
        picture = (picture // 257).astype(np.uint8)
    if picture.ndim == 2:
        return cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    if picture.shape[2] == 3:
        return picture
    opacity = picture[:, :, 3:].astype(np.float32) / 255
    return (picture[:, :, :3] * opacity + 255 * (1 - opacity)).round().astype(np.uint8)


def cut_to_drawing(picture: np.ndarray) -> np.ndarray:
    """Without the white margins; a picture that is white all over as it is."""
    ink = (picture < 255 - INK_LEVELS).any(axis=2)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return picture
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def read_thumbnails(png: Path, files: Sequence[str]) -> np.ndarray:
    """float32 (files, 768), each of length 1 or, where there is little to see, less."""
    cut = (cut_to_drawing(read_on_white(png / file)) for file in files)
    small = (cv2.resize(one, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA) for one in cut)
    flat = np.stack([one.reshape(-1).astype(np.float32) for one in small])
    centred = flat - flat.mean(axis=1, keepdims=True)
    return centred / (np.linalg.norm(centred, axis=1, keepdims=True) + FLAT_NORM)


def closest_pairs(thumbnails: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` pairs that are most alike, the most alike first; the first index is smaller."""
    likeness, first, second = np.zeros(0, np.float32), np.zeros(0, int), np.zeros(0, int)
    for start in range(0, len(thumbnails), BLOCK_ROWS):
        products = thumbnails[start : start + BLOCK_ROWS] @ thumbnails.T
        rows, columns = np.nonzero(np.triu(np.ones(products.shape, bool), k=start + 1))
        likeness = np.concatenate([likeness, products[rows, columns]])
        first, second = np.concatenate([first, rows + start]), np.concatenate([second, columns])
        kept = np.lexsort((second, first, -likeness))[:count]
        likeness, first, second = likeness[kept], first[kept], second[kept]
    return first, second
