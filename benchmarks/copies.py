"""How far a copy's perceptual hash lies from the picture's: what a limit of 3, 8 or 12 bits finds.

    python benchmarks/copies.py [FOLDER]

Each picture of the folder (the bundled clip art by default) is stored as a build stores it; then
it is compressed again, halved, brightened or cropped, and hashed again. Below: how many pairs of
pictures the same limits would call copies. Deterministic; half a minute.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from filters.signals.perceptual_hash import perceptual_hash
from pipelines.decoding.picture import DecodeLimits, StoredImage
from pipelines.fetching.refused import Refused
from pipelines.imaging import make_picture
from pipelines.selecting.hamming import tile_pairs
from tokens.pixels import read_stored

LIMITS = (3, 8, 12)


def compress(pixels: np.ndarray) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1)


def halve(pixels: np.ndarray) -> np.ndarray:
    return cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def brighten(pixels: np.ndarray) -> np.ndarray:
    return cv2.add(pixels, np.full_like(pixels, 30))


def crop(pixels: np.ndarray, share: float) -> np.ndarray:
    """Without `share` of either side, taken from both ends."""
    height, width = pixels.shape[:2]
    top, left = int(height * share / 2), int(width * share / 2)
    return np.ascontiguousarray(pixels[top : height - top, left : width - left])


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "JPEG of quality 40": compress,
    "half the size": halve,
    "30 of 255 brighter": brighten,
    "cropped by 5 %": lambda pixels: crop(pixels, 0.05),
    "cropped by 10 %": lambda pixels: crop(pixels, 0.1),
}


def read_pictures(folder: Path) -> list[np.ndarray]:
    """As a build stores them; files that are no pictures are left out."""
    pictures = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            made = make_picture(path.read_bytes(), DecodeLimits(), StoredImage())
        except Refused:
            continue
        pictures.append(read_stored(made.image))
    return pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = Path(__file__).parent.parent / "examples" / "clipart"
    parser.add_argument("folder", type=Path, nargs="?", default=default)
    pictures = read_pictures(parser.parse_args().folder)
    hashes = np.array([perceptual_hash(pixels) for pixels in pictures], np.uint64)
    print(f"{len(pictures)} pictures    bits, mean    within {LIMITS[0]}, {LIMITS[1]}, {LIMITS[2]}")
    for name, change in CHANGES.items():
        changed = np.array([perceptual_hash(change(pixels)) for pixels in pictures], np.uint64)
        bits = np.bitwise_count(hashes ^ changed)
        shares = "  ".join(f"{(bits <= limit).mean():6.1%}" for limit in LIMITS)
        print(f"{name:20} {bits.mean():5.1f}   {shares}")
    pairs = len(hashes) * (len(hashes) - 1) / 2
    for limit in LIMITS:
        found = tile_pairs(hashes, hashes, limit)
        near = sum(int((down < across).sum()) for down, across, _ in found)
        print(f"pairs of pictures within {limit:2} bits: {near:,} of {int(pairs):,}")


if __name__ == "__main__":
    main()
