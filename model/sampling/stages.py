"""A picture while it is being drawn: what stands there after some of its codes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model.sampling.drawing import Strip
from tokens.image import ImageTokenizer, Pixels

NUM_STAGES = 6
BLANK = 236
"""Grey of what has not been drawn yet."""


def stage_counts(num_codes: int, num_stages: int = NUM_STAGES) -> list[int]:
    """Codes after which a picture is shown: even steps, the last one all of them.

    >>> stage_counts(256)
    [43, 85, 128, 171, 213, 256]
    """
    steps = min(num_codes, num_stages)
    return [round(num_codes * (i + 1) / steps) for i in range(steps)]


def draw_stages(caption: str, codes: npt.NDArray[np.uint32], tokenizer: ImageTokenizer) -> Strip:
    """The stages of one picture, codes (rows, columns), side by side, with their counts of codes.

    A decoder looks around each code; where no code is drawn yet it is shown the last one again, so
    that no stage knows of a later one.
    """
    counts = stage_counts(codes.size)
    order = np.arange(codes.size)
    so_far = np.stack([codes.flat[np.minimum(order, count - 1)] for count in counts])
    pixels = tokenizer.decode(so_far.reshape(-1, *codes.shape))
    shown = [_blank(one, count, codes.shape) for one, count in zip(pixels, counts, strict=True)]
    notes = [f"{count} of {codes.size} codes" for count in counts]
    return Strip(caption, shown, notes)


def _blank(pixels: Pixels, count: int, shape: Sequence[int]) -> Pixels:
    """The picture with grey where codes from `count` on will stand."""
    rows, columns = shape
    hidden = np.arange(rows * columns).reshape(rows, columns) >= count
    height, width = pixels.shape[0] // rows, pixels.shape[1] // columns
    hidden_px = hidden.repeat(height, axis=0).repeat(width, axis=1)
    return np.where(hidden_px[..., None], np.uint8(BLANK), pixels)
