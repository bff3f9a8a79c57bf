"""What decides a picture besides its caption, its seed and the run."""

from dataclasses import asdict, dataclass, field
from typing import Any

from model.sampling.generation import Choice


@dataclass(frozen=True, slots=True)
class Settings:
    """How many pictures are drawn of each caption, and how."""

    num: int = 1
    """Pictures that are kept of each caption."""
    seed: int = 0
    """Of a caption's first picture; the next ones have the next seeds."""
    choice: Choice = field(default_factory=Choice)
    best_of: int = 0
    """Pictures that are drawn of each caption, of which CLIP keeps the `num` best; 0: as many as
    are kept. The paper draws 512 (Ramesh et al. 2021, section 2.6)."""

    def __post_init__(self) -> None:
        if self.num < 1:
            raise ValueError(f"num is {self.num}; it must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must be at least 0")
        if self.best_of and self.best_of < self.num:
            raise ValueError(f"best_of is {self.best_of}; it must be at least num, {self.num}")

    @property
    def candidates(self) -> int:
        """Pictures that are drawn of each caption."""
        return self.best_of or self.num

    def to_document(self) -> dict[str, Any]:
        """What decides a picture's codes beside its caption and seed; the number drawn does not."""
        return asdict(self.choice)
