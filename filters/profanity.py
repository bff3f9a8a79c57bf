"""Drop captions with words that one would not say to a child."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Profanity:
    """More of the caption's words than `max_words` stand on the list of [score.profanity].

    Words have several meanings, and a list knows none: it drops the cock that crows as well.
    """

    reason: ClassVar[str] = "profanity"
    signals: ClassVar[tuple[str, ...]] = ("profane_words",)

    max_words: Annotated[int, Between(0, 1_000)] = 0
    """Words and phrases, itself allowed (Sharma et al. 2018, section 3, and COYO-700M: none)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        value = signals["profane_words"].to_numpy(zero_copy_only=False)
        return np.asarray(~(value <= self.max_words))
