"""Drop captions in another language than English.

Short captions give a detector little to go by. On 1,000 LAION captions that had been chosen
as English, cld3 called 504 English, cld2 993; where cld2 cannot tell it says so instead of
guessing. The paper used cld3, and a recipe that wants the paper gets exactly that.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Language:
    """The detector that the policy names is sure of another language, or sure of none."""

    reason: ClassVar[str] = "language"
    signals: ClassVar[tuple[str, ...]] = (
        "cld3_language",
        "cld3_probability",
        "cld2_language",
        "cld2_reliable",
    )

    policy: Literal["cld3", "cld2"] = "cld3"
    """Which detector decides (Ramesh et al. 2021, section 2.3: cld3)."""
    language: str = "en"
    """The code to keep, as the detector writes it (the paper: English)."""
    min_probability: Annotated[float, Between(0, 1)] = 0.7
    """cld3 is sure at or above it; the paper gives no number, cld3's own is_reliable has 0.7."""
    keep_undetermined: bool = False
    """Keep captions of which the detector is not sure: many titles are too short to tell."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        if self.policy == "cld3":
            found = signals["cld3_language"]
            sure = pc.greater_equal(
                signals["cld3_probability"], pa.scalar(self.min_probability, pa.float32())
            )
        else:
            found = signals["cld2_language"]
            sure = signals["cld2_reliable"]
        named = pc.equal(found, self.language)
        passes = pc.if_else(sure, named, self.keep_undetermined)
        return ~np.asarray(passes.fill_null(False).to_numpy(zero_copy_only=False), bool)
