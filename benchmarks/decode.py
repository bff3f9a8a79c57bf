"""What decoding a JPEG at a fraction of its size saves, what it changes, and what a child costs.

    python benchmarks/decode.py

Pictures with the statistics of photographs (1/f noise, correlated colours, hard edges) in three
sizes, JPEG of quality 85, every fourth one progressive. Both ways end in the same resize and the
same JPEG encoder; rounds alternate, each figure is the median of a picture's rounds and then of the
pictures. CPU time on one thread, because machines are shared: trust the ratio. PSNR and codes are
those of the scaled result against the full decode's (null: equal); beside the codes stands what
storing the full decode as JPEG changes by itself. The child's overhead is the CPU time of both
processes together over the time of the same pictures without it, caches gone cold included; the
exchange is what of it sending a body costs. Two minutes on a machine of two busy cores.
"""

import contextlib
import json
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from pipelines.decoding.decoders import Decoders
from pipelines.decoding.picture import DecodeLimits, StoredImage
from pipelines.fetching.refused import Refused
from pipelines.imaging import decode_image, make_picture, store_image
from tokens.crops import centre_crop
from tokens.image import load_image_tokenizer
from tokens.pixels import read_stored

SIZES = ((640, 480), (1365, 1024), (2731, 2048))
SIDES_PX = (256, 288)
NUM_PICTURES = 16
ROUNDS = 3
CROP_PX = 256
CHILD_ROUNDS = 60
EXCHANGES = 2_000
TYPICAL_BYTES = 127_000


def draw_picture(seed: int) -> np.ndarray:
    """(2048, 2731, 3) uint8 whose power falls as 1/f^2, with discs and bars on it."""
    draws = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(2048)[:, None], np.fft.rfftfreq(4096)[None, :])
    frequency[0, 0] = 1.0
    slope = draws.uniform(0.9, 1.25)
    layers = []
    for _ in range(3):
        noise = np.fft.rfft2(draws.standard_normal((2048, 4096), np.float32))
        layer = np.fft.irfft2(noise / frequency**slope)[:, :2731]
        layers.append((layer - layer.mean()) / layer.std())
    grey = layers[0]
    channels = np.stack([grey + 0.35 * layers[1], grey, grey + 0.35 * layers[2]], axis=2)
    picture = np.clip(channels * 48 + 122, 0, 255).astype(np.uint8)
    for _ in range(40):
        x, y, radius = (int(v) for v in draws.integers(0, 2048, 3))
        colour = tuple(int(v) for v in draws.integers(0, 255, 3))
        cv2.circle(picture, (x, y), 8 + radius // 12, colour, -1, cv2.LINE_AA)
        cv2.line(picture, (y, x), (x, radius), colour, 1 + radius // 200, cv2.LINE_AA)
    return picture


def make_jpegs(pictures: list[np.ndarray], size: tuple[int, int]) -> list[bytes]:
    options = [cv2.IMWRITE_JPEG_QUALITY, 85, cv2.IMWRITE_JPEG_PROGRESSIVE]
    return [
        cv2.imencode(
            ".jpg",
            cv2.resize(picture, size, interpolation=cv2.INTER_AREA),
            [*options, int(seed % 4 == 0)],
        )[1].tobytes()
        for seed, picture in enumerate(pictures)
    ]


def store_full(data: bytes, side_px: int, image_format: str = "jpeg") -> bytes:
    return store_image(decode_image(data).pixels, side_px, image_format)[0]


def store_scaled(data: bytes, side_px: int, image_format: str = "jpeg") -> bytes:
    decoded = decode_image(data, DecodeLimits(), side_px)
    size = (decoded.original_width, decoded.original_height)
    return store_image(decoded.pixels, side_px, image_format, size)[0]


def cpu_ms(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return (time.process_time() - start) * 1e3


def time_both(jpegs: list[bytes], side_px: int) -> dict[str, float]:
    full, scaled = [], []
    for data in jpegs:
        rounds = [
            (
                cpu_ms(partial(store_full, data, side_px)),
                cpu_ms(partial(store_scaled, data, side_px)),
            )
            for _ in range(ROUNDS)
        ]
        full.append(statistics.median(first for first, _ in rounds))
        scaled.append(statistics.median(second for _, second in rounds))
    medians = statistics.median(full), statistics.median(scaled)
    return {"full_ms": medians[0], "scaled_ms": medians[1], "ratio": medians[0] / medians[1]}


def compare_both(
    jpegs: list[bytes], side_px: int, encode: Callable[[list[np.ndarray]], np.ndarray]
) -> dict[str, float | None]:
    full = [read_stored(store_full(data, side_px, "png")) for data in jpegs]
    scaled = [read_stored(store_scaled(data, side_px, "png")) for data in jpegs]
    as_jpeg = [read_stored(store_full(data, side_px)) for data in jpegs]
    distances = [cv2.PSNR(one, other) for one, other in zip(full, scaled, strict=True)]
    codes = encode(full)
    equal = all(map(np.array_equal, full, scaled))
    return {
        "psnr_median_db": None if equal else float(np.median(distances)),
        "psnr_5th_percentile_db": None if equal else float(np.percentile(distances, 5)),
        "codes_changed": float((encode(scaled) != codes).mean()),
        "codes_changed_by_jpeg_alone": float((encode(as_jpeg) != codes).mean()),
    }


def time_child(body: bytes) -> dict[str, float]:
    """CPU ms per picture, here alone and with a child, and the seconds of a child's start."""
    limits, image = DecodeLimits(), StoredImage()
    direct, overhead = [], []
    with Decoders(1, limits, image, timeout_s=10.0, memory_bytes=2**31) as pool:
        pool.make_picture(body)
        start_s = child_cpu_s()
        for _ in range(CHILD_ROUNDS):
            direct.append(cpu_ms(lambda: [make_picture(body, limits, image) for _ in range(5)]) / 5)
            before = child_cpu_s()
            own = cpu_ms(lambda: [pool.make_picture(body) for _ in range(5)]) / 5
            both = own + (child_cpu_s() - before) * 1e3 / 5
            overhead.append(both - direct[-1])
        exchange_ms = time_exchange(pool, b"BM".ljust(len(body)))
    return {
        "body_bytes": len(body),
        "direct_ms": statistics.median(direct),
        "child_overhead_ms": statistics.median(overhead),
        "exchange_ms": exchange_ms,
        "child_start_s": start_s,
    }


def time_exchange(pool: Decoders, refused: bytes) -> float:
    """CPU ms of both processes for a body that is refused by its first bytes."""
    before = child_cpu_s()

    def send_all() -> None:
        for _ in range(EXCHANGES):
            with contextlib.suppress(Refused):
                pool.make_picture(refused)

    own = cpu_ms(send_all)
    return (own + (child_cpu_s() - before) * 1e3) / EXCHANGES


def child_cpu_s() -> float:
    """CPU seconds of the only child so far."""
    tasks = Path("/proc/self/task", str(os.getpid()), "children").read_text().split()
    return int(Path("/proc", tasks[0], "schedstat").read_text().split()[0]) / 1e9


def report(**figures: object) -> None:
    rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}
    print(json.dumps(rounded), flush=True)


def main() -> None:
    cv2.setNumThreads(1)
    tokenizer = load_image_tokenizer("bundled")

    def encode(pictures: list[np.ndarray]) -> np.ndarray:
        return tokenizer.encode(np.stack([centre_crop(one, CROP_PX) for one in pictures]))

    pictures = [draw_picture(seed) for seed in range(NUM_PICTURES)]
    for size in SIZES:
        jpegs = make_jpegs(pictures, size)
        median_bytes = int(statistics.median(map(len, jpegs)))
        for side_px in SIDES_PX:
            figures = time_both(jpegs, side_px) | compare_both(jpegs, side_px, encode)
            report(size=f"{size[0]}x{size[1]}", bytes=median_bytes, side_px=side_px, **figures)
    typical = min(make_jpegs(pictures, SIZES[0]), key=lambda data: abs(len(data) - TYPICAL_BYTES))
    report(**time_child(typical))


if __name__ == "__main__":
    main()
