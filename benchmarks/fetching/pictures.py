"""JPEG files with the statistics of photographs: 1/f noise, correlated colours, hard edges."""

import json
from pathlib import Path

import cv2
import numpy as np

TEXTURE_PX = 2048
NUM_TEXTURES = 12
PROGRESSIVE_SHARE = 0.21
"""Of the JPEG files in a sample of web pictures that we measured."""
LEAST_BYTES, MOST_BYTES = 40_000, 400_000


def make_pictures(folder: Path, number: int, min_px: int, max_px: int, seed: int = 0) -> Path:
    """Write `number` JPEGs whose longer side is between min_px and max_px, once.

    Each has 40 to 400 KB. The same arguments give the same pictures.
    """
    marker = folder / "made.json"
    wanted = {"number": number, "min_px": min_px, "max_px": max_px, "seed": seed}
    if marker.exists() and json.loads(marker.read_text()) == wanted:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    draws = np.random.default_rng(seed)
    textures = [_make_texture(draws) for _ in range(NUM_TEXTURES)]
    for index in range(number):
        data = b""
        while not LEAST_BYTES <= len(data) <= MOST_BYTES:
            data = _draw_jpeg(textures, min_px, max_px, draws)
        (folder / f"{index}.jpg").write_bytes(data)
    marker.write_text(json.dumps(wanted))
    return folder


def _make_texture(draws: np.random.Generator) -> np.ndarray:
    """(2048, 2048, 3) uint8 whose power falls as 1/f^2, as that of photographs does."""
    frequency = np.hypot(np.fft.fftfreq(TEXTURE_PX)[:, None], np.fft.rfftfreq(TEXTURE_PX)[None, :])
    frequency[0, 0] = 1.0
    layers = []
    for _ in range(3):
        noise = np.fft.rfft2(draws.standard_normal((TEXTURE_PX, TEXTURE_PX)))
        layer = np.fft.irfft2(noise / frequency ** draws.uniform(0.9, 1.25))
        layers.append((layer - layer.mean()) / layer.std())
    grey, *tints = layers
    channels = np.stack([grey + 0.35 * tints[0], grey, grey + 0.35 * tints[1]], axis=2)
    texture = np.clip(channels * 48 + 122, 0, 255).astype(np.uint8)
    for _ in range(40):
        x, y, radius = (int(v) for v in draws.integers(0, TEXTURE_PX, 3))
        colour = tuple(int(v) for v in draws.integers(0, 255, 3))
        cv2.circle(texture, (x, y), 8 + radius // 12, colour, -1, cv2.LINE_AA)
    return texture


def _draw_jpeg(
    textures: list[np.ndarray], min_px: int, max_px: int, draws: np.random.Generator
) -> bytes:
    long_px = int(np.exp(draws.uniform(np.log(min_px), np.log(max_px))))
    width, height = long_px, max(64, int(long_px * draws.uniform(0.6, 1.0)))
    if draws.random() < 0.3:
        width, height = height, width
    zoom = draws.uniform(1.0, max(1.0, (TEXTURE_PX - 1) / long_px))
    crop_w, crop_h = min(TEXTURE_PX, int(width * zoom)), min(TEXTURE_PX, int(height * zoom))
    x = int(draws.integers(0, TEXTURE_PX - crop_w + 1))
    y = int(draws.integers(0, TEXTURE_PX - crop_h + 1))
    texture = textures[int(draws.integers(len(textures)))]
    picture = cv2.resize(
        texture[y : y + crop_h, x : x + crop_w], (width, height), interpolation=cv2.INTER_AREA
    )
    options = [
        *(cv2.IMWRITE_JPEG_QUALITY, int(draws.integers(70, 96))),
        *(cv2.IMWRITE_JPEG_PROGRESSIVE, int(draws.random() < PROGRESSIVE_SHARE)),
    ]
    return bytes(cv2.imencode(".jpg", picture, options)[1])
