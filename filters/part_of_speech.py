"""Drop captions that are no sentence about things: lists of names, of keywords."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class PartOfSpeech:
    """The caption lacks nouns, determiners or prepositions, or is nearly all nouns.

    Sharma et al. 2018 (Conceptual Captions, section 3): "a candidate with no determiner, no noun,
    or no preposition is discarded; candidates with a high noun ratio are also discarded", the
    ratio without a number. Changpinyo et al. 2021 (CC12M) permit captions without prepositions.
    """

    reason: ClassVar[str] = "part_of_speech"
    signals: ClassVar[tuple[str, ...]] = ("nouns", "determiners", "prepositions", "noun_ratio")

    min_nouns: Annotated[int, Between(0, 1_000)] = 1
    """Nouns and names, itself allowed (Sharma et al. 2018, Changpinyo et al. 2021, COYO-700M)."""
    min_determiners: Annotated[int, Between(0, 1_000)] = 1
    """Articles and their like, itself allowed (Sharma et al. 2018, Changpinyo et al. 2021: 1)."""
    min_prepositions: Annotated[int, Between(0, 1_000)] = 1
    """Itself allowed (Sharma et al. 2018: 1; Changpinyo et al. 2021: 0)."""
    max_noun_ratio: Annotated[float, Between(0, 1)] = 0.8
    """Nouns and names over words, itself allowed (ours)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        passes = signals["noun_ratio"].to_numpy(zero_copy_only=False) <= self.max_noun_ratio
        least = (self.min_nouns, self.min_determiners, self.min_prepositions)
        for name, number in zip(self.signals[:-1], least, strict=True):
            passes &= signals[name].to_numpy(zero_copy_only=False) >= number
        return np.asarray(~passes)
