"""What every rule of a recipe is: a frozen dataclass that says which rows to drop.

A filter reads columns that the score stage wrote and nothing else, so that another threshold
costs no second look at a picture. Its fields are its thresholds; its reason is the name under
which the rows that it drops are counted.
"""

from dataclasses import Field
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa


class Filter(Protocol):
    """One rule with its thresholds."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    reason: ClassVar[str]
    """Name of the rule in recipes, and of its rows in every table of counts."""
    signals: ClassVar[tuple[str, ...]]
    """Columns that the rule reads."""

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        """True for each row to drop.

        A row whose signal is null is dropped: what was not measured did not pass.
        """
        ...
