"""Which rows of a unit take part in the search for duplicates, and which of two copies is kept.

Only rows that passed everything else take part: fetched, on no opt-out list, dropped by no rule,
on no evaluation set. So a keeper is never a row that something else has dropped. One order holds
for every kind of duplicate: the larger original picture is better, then the earlier row. A row is
dropped where a better one is its copy; that one may fall to a still better one, and so on to one
that is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import join
from pipelines.commit import Output, make_key
from tokens.manifest import KEPT, FileEntry, read_table

MAX_AREA_PX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class SignalUnit:
    """A unit's pairs and signals: committed files of two stages."""

    pairs: FileEntry
    signals: FileEntry

    @property
    def index(self) -> int:
        return self.pairs.index


@dataclass(frozen=True, slots=True)
class Corpus:
    """Where a unit's files lie, and what has been decided of its rows so far."""

    pairs_folder: str
    signals_folder: str
    folder: str
    """That of the select stage."""
    verdicts: tuple[Output, ...]
    """Per unit, in their order: the rules' verdicts."""
    counted: tuple[str, ...] = ()
    """Signals that stand beside the verdicts: those of the whole corpus that a rule reads."""
    overlaps: tuple[Output, ...] = ()
    """Per unit: rows that show an evaluation picture; none where no set is given."""

    @property
    def join_folder(self) -> str:
        return join.join_folder(self.folder)

    def key(self, unit: int) -> str:
        """What decides which rows of a unit take part."""
        return " ".join(files[unit].name for files in (self.verdicts, self.overlaps) if files)

    def read_pairs(self, item: SignalUnit, *columns: str) -> pa.Table:
        return read_table(self.pairs_folder, item.pairs, columns)

    def read_signals(self, item: SignalUnit, *columns: str) -> pa.Table:
        return read_table(self.signals_folder, item.signals, columns)

    def read_reasons(self, unit: int) -> pa.ChunkedArray:
        """Why each row of a unit is dropped, `kept` for those that take part."""
        reasons = self._read_verdicts(unit, ("reason",))["reason"]
        if not self.overlaps:
            return reasons
        overlapping = np.zeros(len(reasons), bool)
        overlapping[join.read_slice(self.overlaps[unit], 0, join.ROW)] = True
        return pc.if_else(pa.array(overlapping), "eval_overlap", reasons)

    def read_counts(self, unit: int) -> pa.Table:
        """The columns `counted` of a unit."""
        return self._read_verdicts(unit, self.counted)

    def _read_verdicts(self, unit: int, columns: tuple[str, ...]) -> pa.Table:
        verdict = self.verdicts[unit]
        return read_table(verdict.folder, FileEntry(verdict.name, "", unit, 0, 0, ""), columns)

    def read_rows(self, unit: int) -> npt.NDArray[np.int64]:
        """The rows of a unit that take part, in order."""
        return np.flatnonzero(pc.equal(self.read_reasons(unit), KEPT).to_numpy())


def read_areas(pairs: pa.Table, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    """Pixels of the original pictures of some rows."""
    area = pc.multiply(*(pairs[f"original_{side}"].cast("int64") for side in ("width", "height")))
    areas: npt.NDArray[np.int64] = area.fill_null(0).to_numpy()[rows]
    return np.minimum(areas, MAX_AREA_PX).astype(np.uint32)


def order_best_first(records: npt.NDArray[Any], *keys: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The order of records by key (the last key weighs most), the best of each key first.

    Args:
        records: with `area`, `unit` and `row`, in the order of (unit, row) among those of one key.
    """
    return np.lexsort((MAX_AREA_PX - records["area"], *keys))


def first_of_each(*ordered: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """True where any of several ordered columns begins a new value."""
    first = np.ones(len(ordered[0]), bool)
    if len(first):
        first[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in ordered])
    return first


def item_output(corpus_folder: str, name: str, index: int, parts: Sequence[str]) -> Output:
    """Where a step of a join keeps an item's file."""
    return Output(join.join_folder(corpus_folder), f"{name}-{index:05d}-{make_key(*parts)}.bin")
