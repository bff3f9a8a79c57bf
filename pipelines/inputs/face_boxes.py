"""Face boxes as a source gives them: [[x0, y0, x1, y1], ...] in shares of the picture's size.

A cell that is broken is not dropped: a picture whose faces are to be blurred must not be stored
because nobody could read where they are.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

from pipelines.inputs.source import Cell

MAX_BOXES = 1_000
"""Faces of one picture; a longer list is no detector's (our own choice)."""
MIN_SHARE, MAX_SHARE = -1.0, 2.0
"""Detectors overshoot a picture's edge; what lies farther out was measured in pixels."""
UNREADABLE = (math.nan,)
"""Stands for a cell that holds no boxes that can be read."""


def read_boxes(cell: Cell) -> tuple[float, ...] | None:
    """The four numbers of each box, one behind the other; None where the cell names none.

    >>> read_boxes("[[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 1, 1]]")
    (0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 1.0, 1.0)
    """
    try:
        boxes = json.loads(cell) if cell and cell.strip() else None
        return tuple(number for box in boxes for number in _four(box)) if boxes else None
    except (ValueError, TypeError, RecursionError, OverflowError):
        return UNREADABLE


def _four(box: Any) -> tuple[float, ...]:
    if not isinstance(box, list) or len(box) != 4 or any(type(n) not in (int, float) for n in box):
        raise ValueError("a box is a list of four numbers")
    return tuple(map(float, box))


def are_sound(boxes: Sequence[float]) -> bool:
    """Whether each box says where a face is: four finite numbers, near or inside the picture."""
    whole = len(boxes) % 4 == 0 and len(boxes) <= 4 * MAX_BOXES
    return whole and all(MIN_SHARE <= number <= MAX_SHARE for number in boxes)  # false for nan
