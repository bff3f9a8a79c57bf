"""The pairs that select has kept, unit by unit, out of the committed files of two stages."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.commit import hash_entries
from tokens.manifest import KEPT, FileEntry, Manifest, read_table


@dataclass(frozen=True, slots=True)
class UnitPair:
    """A unit's pictures and what select decided of them: committed files of two stages."""

    pairs: FileEntry
    decisions: FileEntry

    @property
    def index(self) -> int:
        return self.pairs.index

    @property
    def sha256(self) -> str:
        return hash_entries((self.pairs, self.decisions))

    @property
    def num_kept(self) -> int:
        return sum(self.decisions.splits.values())


def pair_up(pairs: Manifest, decisions: Manifest) -> tuple[UnitPair, ...]:
    """Each unit's files of both stages."""
    by_index = {entry.index: entry for entry in decisions.files}
    return tuple(UnitPair(entry, by_index[entry.index]) for entry in pairs.files)


@dataclass(frozen=True, slots=True)
class KeptPairs:
    """Where the two stages' files are."""

    pairs_folder: str
    decisions_folder: str

    def read(self, unit: UnitPair, columns: Sequence[str]) -> tuple[pa.Table, pa.ChunkedArray]:
        """The unit's kept pairs, read once for all splits, and the split of each."""
        decided = read_table(self.decisions_folder, unit.decisions, ("reason", "split"))
        keep = pc.equal(decided["reason"], KEPT)
        pairs = read_table(self.pairs_folder, unit.pairs, columns)
        return pairs.filter(keep), decided["split"].filter(keep)
