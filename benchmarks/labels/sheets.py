"""Contact sheets: numbered pictures with their captions, or pairs side by side."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from thumbnails import MAX_PIXELS, read_on_white

CELL_PX = 220
TEXT_PX = 84
COLUMNS = 5
CELLS_PER_SHEET = 20


def load(file: Path) -> Image.Image:
    """The picture on white, at most a cell wide and high; grey where it is too large to open."""
    with file.open("rb") as opened:
        header = opened.read(24)
    width, height = (int.from_bytes(header[at : at + 4]) for at in (16, 20))
    if width * height > MAX_PIXELS:
        return Image.new("RGB", (CELL_PX, CELL_PX), "grey")
    picture = Image.fromarray(np.ascontiguousarray(read_on_white(file)[:, :, ::-1]))
    picture.thumbnail((CELL_PX - 8, CELL_PX - 8))
    return picture


def make_cell(pictures: Sequence[Image.Image], text: str) -> Image.Image:
    width = CELL_PX * len(pictures)
    cell = Image.new("RGB", (width, CELL_PX + TEXT_PX), "white")
    for place, picture in enumerate(pictures):
        left = place * CELL_PX + (CELL_PX - picture.width) // 2
        cell.paste(picture, (left, (CELL_PX - picture.height) // 2))
    drawing = ImageDraw.Draw(cell)
    drawing.rectangle((0, 0, width - 1, CELL_PX + TEXT_PX - 1), outline="grey")
    lines = textwrap.wrap(text, 34 * len(pictures))[:6]
    drawing.text((5, CELL_PX), "\n".join(lines), fill="black")
    return cell


def write_sheets(cells: Sequence[Image.Image], columns: int, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(cells), CELLS_PER_SHEET):
        shown = cells[start : start + CELLS_PER_SHEET]
        width, height = shown[0].size
        sheet = Image.new("RGB", (width * columns, height * -(-len(shown) // columns)), "white")
        for place, cell in enumerate(shown):
            sheet.paste(cell, (place % columns * width, place // columns * height))
        sheet.save(folder / f"{name}{start:03d}.png")


def write_row_sheets(png: Path, rows: Sequence[dict], folder: Path) -> None:
    cells = [
        make_cell([load(png / row["path"])], f"{number}: {row['caption']}")
        for number, row in enumerate(rows)
    ]
    write_sheets(cells, COLUMNS, folder, "rows")


def write_pair_sheets(png: Path, pairs: Sequence[dict], folder: Path) -> None:
    cells = [
        make_cell(
            [load(png / pair["first"]), load(png / pair["second"])],
            f"{number}: {Path(pair['first']).stem} | {Path(pair['second']).stem}",
        )
        for number, pair in enumerate(pairs)
    ]
    write_sheets(cells, COLUMNS - 1, folder, "pairs")
