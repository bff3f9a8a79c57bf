"""What comes out of drawing, and what may judge it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tokens.image import Pixels


class Ranker(Protocol):
    """What chooses the best of several pictures."""

    def score(self, caption: str, pictures: Sequence[Pixels]) -> list[float]:
        """A number for each picture, the higher the better it shows the caption."""

    def to_document(self) -> dict[str, Any]:
        """What the numbers depend on."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture that is kept."""

    seed: int
    codes: npt.NDArray[np.uint32]
    """(rows, columns)"""
    pixels: Pixels
    """(height, width, 3)"""
    score: float | None
    """The ranker's; None where none was asked."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn of one caption."""

    caption: str
    pictures: tuple[Picture, ...]
    """The best first, or by seed where there was no ranker."""
    scores: dict[int, float | None]
    """Of every seed that was drawn, kept or not."""
