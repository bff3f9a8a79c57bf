"""Drop captions in another language than English.

Short captions give a detector little to go by: of 1,000 English captions of LAION-400M cld3 is
sure of 390. Where cld2 cannot tell it says so instead of guessing. The paper used cld3, and a
recipe that wants the paper gets exactly that. What each policy costs: `docs/languages.md`.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Language:
    """The detectors that the policy names do not let the caption pass.

    cld3_strict: cld3 must be sure of the language.
    cld3_or_unreliable: cld3 must not be sure of another one.
    cld2_strict: cld2 must be sure of the language.
    cld2_or_unreliable: cld2 must not be sure of another one.
    cld2_agree: cld3 or cld2 must be sure of the language; cld3's refusal counts where cld2 agrees.
    """

    reason: ClassVar[str] = "language"
    signals: ClassVar[tuple[str, ...]] = (
        "cld3_language",
        "cld3_probability",
        "cld2_language",
        "cld2_reliable",
    )

    policy: Literal[
        "cld3_strict", "cld3_or_unreliable", "cld2_strict", "cld2_or_unreliable", "cld2_agree"
    ] = "cld3_strict"
    """Which detector decides, and how sure it must be (Ramesh et al. 2021, section 2.3: cld3)."""
    language: str = "en"
    """The code to keep, as the detector writes it (the paper: English)."""
    min_probability: Annotated[float, Between(0, 1)] = 0.7
    """cld3 is sure at or above it; the paper gives no number, cld3's own is_reliable has 0.7."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        measured = _both_measured(signals)
        right3, sure3 = self._ask_cld3(signals)
        right2, sure2 = self._ask_cld2(signals)
        passes = {
            "cld3_strict": right3 & sure3,
            "cld3_or_unreliable": right3 | ~sure3,
            "cld2_strict": right2 & sure2,
            "cld2_or_unreliable": right2 | ~sure2,
            "cld2_agree": (right3 & sure3) | (right2 & sure2),
        }
        return np.asarray(~(measured & passes[self.policy]))

    def _ask_cld3(self, signals: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
        """Whether cld3 names the language, and whether it is sure of what it names."""
        sure = pc.greater_equal(
            signals["cld3_probability"], pa.scalar(self.min_probability, pa.float32())
        )
        return _as_bools(pc.equal(signals["cld3_language"], self.language)), _as_bools(sure)

    def _ask_cld2(self, signals: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
        right = pc.equal(signals["cld2_language"], self.language)
        return _as_bools(right), _as_bools(signals["cld2_reliable"])


def _both_measured(signals: pa.RecordBatch) -> np.ndarray:
    valid = [_as_bools(signals[name].is_valid()) for name in Language.signals]
    return np.asarray(np.logical_and.reduce(valid))


def _as_bools(column: pa.BooleanArray) -> np.ndarray:
    return np.asarray(column.fill_null(False).to_numpy(zero_copy_only=False), bool)
