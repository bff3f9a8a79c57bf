"""What a signal is: one measurement of pairs, and the columns that it fills."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Signal:
    """One measurement, its columns and what it looks at.

    `measure` gets what `needs` says and returns one item per column:
        caption: all captions of a unit, a string array without nulls -> arrays of its length.
        pair: the table of a unit's pairs -> arrays of its length.
        pixels: one picture, uint8 [H, W, 3] RGB as it was stored -> plain values.
    """

    columns: tuple[tuple[str, pa.DataType], ...]
    needs: Literal["caption", "pair", "pixels"]
    measure: Callable[[Any], tuple[Any, ...]]
