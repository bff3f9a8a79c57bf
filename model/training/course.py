"""How far a run has come: every plain value that decides how it goes on."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model.config import Optim
from model.data import Position
from model.optim import Plateau, learning_rate
from model.training.interval import Interval


@dataclass(slots=True)
class Course:
    """Together with the tables of tensors, a checkpoint's content."""

    steps_done: int = 0
    total_steps: int = 0
    """Where the cosine schedule ends; 0: not known before the first log line."""
    elapsed_s: float = 0.0
    """Of training, over all starts."""
    best_loss: float | None = None
    """Lowest held-out image loss; None: not measured."""
    skipped: int = 0
    """Steps left out because a loss or a gradient was not finite."""
    overflows: int = 0
    """Steps left out because the arithmetic asked for it."""
    plateau: Plateau = field(default_factory=Plateau)
    interval: Interval = field(default_factory=Interval)

    def __post_init__(self) -> None:
        for name in ("steps_done", "total_steps", "skipped", "overflows"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"{name} is {value!r}; it must be a whole number from 0 on")
        if not isinstance(self.elapsed_s, float) or not 0 <= self.elapsed_s < math.inf:
            raise ValueError(f"elapsed_s is {self.elapsed_s!r}; it must be a number from 0 on")

    @property
    def updates(self) -> int:
        """Steps that changed the weights."""
        return self.steps_done - self.skipped - self.overflows

    def rate(self, optim: Optim) -> float:
        """The learning rate of the next update."""
        total = self.total_steps or math.inf
        return learning_rate(optim, self.steps_done, total, self.plateau.halvings)

    def to_document(self, position: Position) -> dict[str, Any]:
        document = {name: getattr(self, name) for name in self.__slots__}
        document["plateau"] = dataclasses.asdict(self.plateau)
        document["interval"] = self.interval.to_document()
        return document | {"position": dataclasses.asdict(position)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> tuple["Course", Position]:
        """Raises ValueError where a part or a field is missing or unknown."""
        try:
            values = dict(document)
            position = Position(**values.pop("position"))
            plateau = Plateau(**values.pop("plateau"))
            interval = Interval(**values.pop("interval"))
            return cls(**values, plateau=plateau, interval=interval), position
        except (KeyError, TypeError) as err:
            raise ValueError(f"its state is not that of a run: {err}") from err
