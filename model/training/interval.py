"""What has been measured since the last log line."""

import dataclasses
import time
from dataclasses import dataclass, field
from typing import Any

from model.training.update import Measured
from model.transformer import IMAGE_WEIGHT, TEXT_WEIGHT


@dataclass(slots=True)
class Interval:
    """Sums over steps, and where the time went. Sums go on over a stop, times do not."""

    steps: int = 0
    updates: int = 0
    """Steps that changed the weights; only these are in the sums."""
    text: float = 0.0
    image: float = 0.0
    gradient: float = 0.0
    timed_steps: int = 0
    """Since this process took the interval up."""
    began_s: float = field(default_factory=time.monotonic)
    data_s: float = 0.0
    """Waited for the loader."""
    pause_s: float = 0.0
    """Spent on other things than steps."""

    def add(self, found: Measured, updated: bool) -> None:
        """Take in one step."""
        self.steps += 1
        self.timed_steps += 1
        if updated:
            self.updates += 1
            self.text += found.text
            self.image += found.image
            self.gradient += found.gradient

    def restart(self) -> None:
        """Count time from here, sums from where they stand."""
        self.began_s = time.monotonic()
        self.timed_steps, self.data_s, self.pause_s = 0, 0.0, 0.0

    @property
    def training_s(self) -> float:
        return time.monotonic() - self.began_s - self.pause_s

    @property
    def step_s(self) -> float:
        return self.training_s / max(1, self.timed_steps)

    def means(self) -> dict[str, float]:
        """Losses and gradient norm, over the updates; there must have been one."""
        text, image = self.text / self.updates, self.image / self.updates
        return {
            "loss": TEXT_WEIGHT * text + IMAGE_WEIGHT * image,
            "text": text,
            "image": image,
            "gradient": self.gradient / self.updates,
        }

    def to_document(self) -> dict[str, Any]:
        """The sums, without the times."""
        sums = ("steps", "updates", "text", "image", "gradient")
        return {name: value for name, value in dataclasses.asdict(self).items() if name in sums}
