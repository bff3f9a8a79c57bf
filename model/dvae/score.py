"""How well a dVAE does on pictures that it was not trained on, by its most likely codes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from model.dvae.loss import perplexity
from model.dvae.run import to_tensor
from tokens.dvae import Dvae

Pixels = npt.NDArray[np.uint8]

COLUMNS = 8
GAP_PX = 2


@dataclass(frozen=True, slots=True)
class Score:
    """Over held-out pictures, through the most likely codes."""

    psnr_db: float
    """Mean over pictures of the peak signal-to-noise ratio, pixels in [0, 1]."""

    perplexity: float
    """How many codes the pictures use, as the exponential of their entropy."""

    num_codes: int
    """Codes that occur at all."""

    num_pictures: int


def reconstruct(model: Dvae, originals: Pixels) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Pictures uint8 [N, H, W, 3] through their codes: pictures of that shape, and the codes."""
    device = next(model.parameters()).device
    pictures, codes = [], []
    with torch.inference_mode():
        for start in range(0, len(originals), 16):
            code_Bhw = model.codes(to_tensor(originals[start : start + 16], device))
            pixels_BHWC = model.pixels(code_Bhw).permute(0, 2, 3, 1)
            pictures.append((pixels_BHWC * 255).round().to(torch.uint8).cpu().numpy())
            codes.append(code_Bhw.cpu().numpy())
    return np.concatenate(pictures), np.concatenate(codes)


def score(originals: Pixels, rebuilt: Pixels, codes: npt.NDArray[np.int64], vocab: int) -> Score:
    """The score of reconstructions."""
    error = (originals.astype(np.float64) - rebuilt) / 255
    mean_square_N = np.maximum((error**2).mean(axis=(1, 2, 3)), 1e-10)
    counts = np.bincount(codes.ravel(), minlength=vocab)
    return Score(
        psnr_db=float((-10 * np.log10(mean_square_N)).mean()),
        perplexity=perplexity(torch.from_numpy(counts)),
        num_codes=int((counts > 0).sum()),
        num_pictures=len(originals),
    )


def score_line(result: Score, vocab_size: int) -> str:
    """The last line of a run."""
    return (
        f"held out: PSNR {result.psnr_db:.2f} dB, code perplexity {result.perplexity:.0f} of "
        f"{vocab_size}, {result.num_codes} codes in use, {result.num_pictures} pictures"
    )


def picture_png(originals: Pixels, rebuilt: Pixels) -> bytes:
    """A PNG of rows of originals, each row above its reconstructions, on grey."""
    rows = []
    for start in range(0, len(originals), COLUMNS):
        rows += [_row(originals[start : start + COLUMNS]), _row(rebuilt[start : start + COLUMNS])]
    sheet = np.concatenate(rows)
    done, data = cv2.imencode(".png", sheet[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert done
    return data.tobytes()


def _row(pictures: Pixels) -> Pixels:
    height, width = pictures.shape[1:3]
    row = np.full((height + GAP_PX, COLUMNS * (width + GAP_PX), 3), 200, np.uint8)
    for column, picture in enumerate(pictures):
        left = column * (width + GAP_PX)
        row[:height, left : left + width] = picture
    return row
