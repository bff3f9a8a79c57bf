"""What a signal is: one measurement of pairs, and the columns that it fills."""

from collections.abc import Callable
from dataclasses import Field, dataclass
from typing import Any, ClassVar, Literal, Protocol

import pyarrow as pa

Columns = tuple[tuple[str, pa.DataType], ...]
"""Names and Arrow types, in order."""

BATCH_PICTURES = 64
"""Pairs that a signal over pictures gets at a time, at most."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One measurement, its columns and what it looks at.

    `measure` gets what `needs` says and returns one item per column:
        caption: all captions of a unit, a string array without nulls -> arrays of its length.
        pair: the table of a unit's pairs -> arrays of its length.
        pixels: one picture, uint8 [H, W, 3] RGB as it was stored -> plain values.
        pictures: up to BATCH_PICTURES captions and their pictures -> arrays of that length.
    """

    columns: Columns
    needs: Literal["caption", "pair", "pixels", "pictures"]
    measure: Callable[..., tuple[Any, ...]]


class Model(Protocol):
    """A signal that needs weights: the table of a recipe's [score] that names them.

    A frozen dataclass that Beam can pickle; nothing is loaded before the first unit, in the worker.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __hash__(self) -> int: ...

    @property
    def columns(self) -> Columns: ...

    def find(self) -> dict[str, str]:
        """What decides the numbers besides the settings: hashes of files, versions.

        Raises:
            ValueError, OSError: a file is missing or is not what it should be, in one sentence
                that says which, where it is published and which key of the recipe names it.
        """

    def load(self) -> Signal:
        """The signal; one process calls it once."""
