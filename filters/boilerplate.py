"""Drop captions that are mainly a date, a credit or a phrase that any picture could have."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Boilerplate:
    """More of the caption than `max_ratio` is boilerplate.

    The paper drops captions that "consist mainly of boilerplate phrases such as
    'photographed on <date>'" (Ramesh et al. 2021, section 2.3) and lists no phrases. What we
    count as boilerplate stands in `filters/signals/boilerplate.py`.
    """

    reason: ClassVar[str] = "boilerplate"
    signals: ClassVar[tuple[str, ...]] = ("boilerplate_ratio",)

    max_ratio: Annotated[float, Between(0, 1)] = 0.5
    """Share of the letters and digits, 0 to 1; "mainly" read as more than half."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        ratio = signals["boilerplate_ratio"].fill_null(float("nan")).to_numpy()
        return np.asarray(~(ratio <= self.max_ratio))
