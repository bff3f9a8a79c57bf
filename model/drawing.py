"""Lay pictures and their captions out on one sheet.

+-----+ +-----+   +-----+ +-----+
|     | |     |   |     | |     |      the pictures of one caption stand side by side,
+-----+ +-----+   +-----+ +-----+      the caption under them
a red flower      a house
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

PAPER, INK, EDGE = "#ffffff", "#1c1c1c", "#d8d8d8"
PICTURES_ACROSS = 8
"""A sheet is about this many pictures wide."""
MIN_SIDE_PX = 128
"""Smaller pictures are enlarged by a whole factor."""
GAP_PX, MARGIN_PX, FONT_PX, MAX_LINES = 6, 24, 15, 2


@dataclass(frozen=True, slots=True)
class Strip:
    """The pictures of one caption."""

    caption: str
    pictures: Sequence[npt.NDArray[np.uint8]]
    """At least one, (height, width, 3) each, all of one size."""


def draw_sheet(strips: Sequence[Strip]) -> Image.Image:
    """One sheet of all strips, in reading order."""
    height, width, _ = strips[0].pictures[0].shape
    factor = -(-MIN_SIDE_PX // min(height, width))
    cell_width, cell_height = width * factor + GAP_PX, height * factor + GAP_PX
    num = max(len(strip.pictures) for strip in strips)
    across = min(len(strips), max(1, PICTURES_ACROSS // num))
    font = ImageFont.load_default(FONT_PX)
    line_px = round(FONT_PX * 1.3)
    strip_width = num * cell_width - GAP_PX + MARGIN_PX
    strip_height = cell_height + MAX_LINES * line_px + MARGIN_PX // 2
    lines = -(-len(strips) // across)
    size = (MARGIN_PX + across * strip_width, MARGIN_PX + lines * strip_height)
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    for i, strip in enumerate(strips):
        left = MARGIN_PX + i % across * strip_width
        top = MARGIN_PX + i // across * strip_height
        for j, pixels in enumerate(strip.pictures):
            picture = Image.fromarray(pixels).resize(
                (width * factor, height * factor), Image.Resampling.NEAREST
            )
            x = left + j * cell_width
            sheet.paste(picture, (x, top))
            pen.rectangle((x - 1, top - 1, x + picture.width, top + picture.height), outline=EDGE)
        label = wrap(strip.caption, font, strip_width - MARGIN_PX)
        for j, text in enumerate(label):
            pen.text((left, top + cell_height + j * line_px), text, fill=INK, font=font)
    return sheet


def wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: int) -> list[str]:
    """`text` in at most `MAX_LINES` lines of `width_px`; what does not fit ends in an ellipsis."""
    words = " ".join(text.split()).split(" ")
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".lstrip()
        if font.getlength(longer) <= width_px or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    cut = len(lines) > MAX_LINES
    lines = lines[:MAX_LINES]
    return [
        _shorten(line, font, width_px, cut and i == MAX_LINES - 1) for i, line in enumerate(lines)
    ]


def _shorten(
    line: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: int, cut: bool
) -> str:
    if not cut and font.getlength(line) <= width_px:
        return line
    while line and font.getlength(f"{line}...") > width_px:
        line = line[:-1]
    return f"{line.rstrip()}..."
