"""CPU milliseconds that each signal of a picture takes, beside what decoding it takes.

    python benchmarks/picture_signals.py

The bundled clip art as `--until fetch` stores it with the defaults (JPEG q95, short side 288 px,
never enlarged), and as many pictures with the statistics of photographs. One thread; the median of
seven rounds over all pictures. No other program does just this: the figure to compare with is the
decoding, which every measurement of a picture needs first.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from filters.signals import SIGNALS
from pipelines.decoding.picture import DecodeLimits, StoredImage
from pipelines.imaging import make_picture
from tokens.pixels import read_stored

SAMPLE = Path(__file__).parent.parent / "examples" / "clipart"
NUM_PICTURES = 100
ROUNDS = 7


def draw_photo(seed: int) -> bytes:
    """A JPEG of 1024 x 768 px whose power falls as 1/f^2."""
    draws = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(768)[:, None], np.fft.rfftfreq(1024)[None, :])
    frequency[0, 0] = 1.0
    layers = [
        np.fft.irfft2(np.fft.rfft2(draws.standard_normal((768, 1024))) / frequency)
        for _ in range(3)
    ]
    grey = layers[0] / layers[0].std()
    channels = [grey + 0.35 * layer / layer.std() for layer in layers]
    pixels = np.clip(np.stack(channels, axis=2) * 48 + 122, 0, 255).astype(np.uint8)
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])


def cpu_ms(
    act: Callable[[bytes | np.ndarray], object], seen: Sequence[bytes | np.ndarray]
) -> float:
    """The median round's milliseconds of CPU for one of `seen`."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for one in seen:
            act(one)
        rounds.append((time.process_time() - start) * 1e3 / len(seen))
    return statistics.median(rounds)


def main() -> None:
    cv2.setNumThreads(1)
    art = [path.read_bytes() for path in sorted(SAMPLE.rglob("*.png"))[:NUM_PICTURES]]
    photos = [draw_photo(seed) for seed in range(NUM_PICTURES)]
    for name, bodies in (("clip art", art), ("photographs", photos)):
        stored = [make_picture(body, DecodeLimits(), StoredImage()).image for body in bodies]
        pixels = [read_stored(data) for data in stored]
        figures = {"decode": cpu_ms(read_stored, stored)} | {
            signal.columns[0][0]: cpu_ms(signal.measure, pixels)
            for signal in SIGNALS
            if signal.needs == "pixels"
        }
        print(json.dumps({"pictures": name} | {k: round(v, 3) for k, v in figures.items()}))


if __name__ == "__main__":
    main()
