"""The top of a picture as the beginning of others: the paper's image-to-image translation.

The paper gives the upper 15 of 32 rows of codes and a caption such as "the exact same cat on the
top as a sketch on the bottom" (Ramesh et al. 2021, section 3.3).
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from tokens.crops import centre_crop
from tokens.image import NetworkTokenizer, Pixels
from tokens.sequence import SequenceLayout

PAPER_SHARE = 15 / 32
"""Of the rows (section 3.3)."""


def read_prime(
    path: str | Path, tokenizer: NetworkTokenizer, layout: SequenceLayout, rows: int | None
) -> npt.NDArray[np.uint32]:
    """The codes of a picture's upper rows, [rows, grid_width]; None: the paper's share of them.

    The picture is turned upright, enlarged where it is too small, and its centre cut to a square,
    as held-out pictures are.

    Raises:
        ValueError: it is no picture, or not that many rows can be given.
    """
    rows = round(layout.grid_height * PAPER_SHARE) if rows is None else rows
    if not 0 < rows < layout.grid_height:
        raise ValueError(f"prime_rows is {rows}; it must be from 1 to {layout.grid_height - 1}")
    if layout.grid_height != layout.grid_width:
        raise ValueError("only square pictures can be primed")
    side_px = layout.grid_height * tokenizer.stride
    codes_1hw = tokenizer.encode(centre_crop(_read(path, side_px), side_px)[None])
    return codes_1hw[0, :rows].astype(np.uint32)


def _read(path: str | Path, side_px: int) -> Pixels:
    try:
        with Image.open(path) as opened:
            upright = ImageOps.exif_transpose(opened)
            if upright.has_transparency_data:
                paper = Image.new("RGBA", upright.size, "white")
                upright = Image.alpha_composite(paper, upright.convert("RGBA"))
            short_px = min(upright.size)
            if short_px < side_px:
                larger = [-(-side * side_px // short_px) for side in upright.size]
                upright = upright.convert("RGB").resize((larger[0], larger[1]))
            return np.asarray(upright.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as err:
        raise ValueError(f"{path} is no picture that can be read: {err}") from err
