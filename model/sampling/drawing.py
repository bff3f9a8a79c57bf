"""Lay pictures and their captions out on one sheet.

+-----+ +-----+   +-----+ +-----+
|     | |     |   |     | |     |      the pictures of one caption stand side by side,
+-----+ +-----+   +-----+ +-----+      a note under each, where it has one,
 0.312   0.287     0.301   0.299       and the caption under them all
a red flower      a house
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

PAPER, INK, PALE_INK, EDGE = "#ffffff", "#1c1c1c", "#767676", "#d8d8d8"
PICTURES_ACROSS = 8
"""A sheet is about this many pictures wide."""
MIN_SIDE_PX = 128
"""Smaller pictures are enlarged by a whole factor."""
GAP_PX, MARGIN_PX, MAX_LINES = 6, 24, 2
FONT_PX, NOTE_FONT_PX = 16, 14
"""Sizes at which Pillow's own font keeps its words apart."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class Strip:
    """The pictures of one caption."""

    caption: str
    pictures: Sequence[npt.NDArray[np.uint8]]
    """At least one, (height, width, 3) each, all of one size."""
    notes: Sequence[str] = ()
    """A few characters about each picture, or none at all."""


@dataclass(frozen=True, slots=True)
class Measures:
    """The sizes that all strips of a sheet share, pixels."""

    width: int
    """Of a picture, enlarged."""
    height: int
    num: int
    """Pictures in the longest strip."""
    across: int
    """Strips in one line of the sheet."""
    caption_top: int
    """From a strip's top to its caption."""
    lines: int
    """Of the longest caption."""

    @classmethod
    def of(cls, strips: Sequence[Strip]) -> "Measures":
        height, width, _ = strips[0].pictures[0].shape
        factor = -(-MIN_SIDE_PX // min(height, width))
        num = max(len(strip.pictures) for strip in strips)
        note_px = round(1.3 * NOTE_FONT_PX) if any(strip.notes for strip in strips) else 0
        across = min(len(strips), max(1, PICTURES_ACROSS // num))
        enlarged = width * factor, height * factor
        bare = cls(*enlarged, num, across, enlarged[1] + GAP_PX + note_px, lines=1)
        lines = max(len(wrap(strip.caption, load_font(), bare.text_width)) for strip in strips)
        return replace(bare, lines=lines)

    @property
    def text_width(self) -> int:
        """Of a strip's pictures, and so of its caption."""
        return self.num * (self.width + GAP_PX) - GAP_PX

    @property
    def strip_width(self) -> int:
        """With the margin at its right."""
        return self.text_width + MARGIN_PX

    @property
    def strip_height(self) -> int:
        """With the margin below it."""
        return self.caption_top + self.lines * line_px() + MARGIN_PX


def line_px() -> int:
    """From one line of a caption to the next."""
    return round(FONT_PX * 1.3)


def load_font(size_px: int = FONT_PX) -> Font:
    return ImageFont.load_default(size_px)


def draw_sheet(strips: Sequence[Strip]) -> Image.Image:
    """One sheet of all strips, in reading order."""
    measures = Measures.of(strips)
    rows = -(-len(strips) // measures.across)
    size = (
        MARGIN_PX + measures.across * measures.strip_width,
        MARGIN_PX + rows * measures.strip_height,
    )
    sheet = Image.new("RGB", size, PAPER)
    for i, strip in enumerate(strips):
        left = MARGIN_PX + i % measures.across * measures.strip_width
        top = MARGIN_PX + i // measures.across * measures.strip_height
        _draw_strip(sheet, strip, left, top, measures)
    return sheet


def _draw_strip(sheet: Image.Image, strip: Strip, left: int, top: int, measures: Measures) -> None:
    pen = ImageDraw.Draw(sheet)
    for j, pixels in enumerate(strip.pictures):
        x = left + j * (measures.width + GAP_PX)
        size = (measures.width, measures.height)
        sheet.paste(Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST), (x, top))
        pen.rectangle((x - 1, top - 1, x + size[0], top + size[1]), outline=EDGE)
        if strip.notes:
            place = (x, top + size[1] + 3)
            pen.text(place, strip.notes[j], fill=PALE_INK, font=load_font(NOTE_FONT_PX))
    for j, text in enumerate(wrap(strip.caption, load_font(), measures.text_width)):
        place = (left, top + measures.caption_top + j * line_px())
        pen.text(place, text, fill=INK, font=load_font())


def wrap(text: str, font: Font, width_px: int) -> list[str]:
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


def _shorten(line: str, font: Font, width_px: int, cut: bool) -> str:
    if not cut and font.getlength(line) <= width_px:
        return line
    while line and font.getlength(f"{line}...") > width_px:
        line = line[:-1]
    return f"{line.rstrip()}..."
