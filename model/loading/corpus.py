"""A build's tokens folder, read through its manifest."""

import numpy as np

from model.loading.batch import Batch, join_batches, text_dtype
from model.loading.order import RowGroup
from model.loading.ranges import RangeSource, Reading
from model.loading.shard_reader import GroupRequest, ShardReader
from tokens.draw import keyed_generator
from tokens.manifest import FileEntry, Manifest, read_manifest
from tokens.sequence import SequenceLayout, lay_out_text
from tokens.shards import ROW_GROUP_ROWS


class TokenCorpus:
    """A build's tokens folder, through its manifest."""

    def __init__(self, folder: str, reading: Reading | None = None) -> None:
        """Read the manifest; no shard is opened yet.

        Raises:
            FileNotFoundError, ValueError: no manifest, or one that a trainer cannot use.
        """
        self.folder = folder
        self.reading = reading or Reading()
        self.source = RangeSource(self.reading)
        self.manifest: Manifest = read_manifest(folder)
        self.layout = SequenceLayout.from_details(self.manifest.details)
        self.num_views = int(self.manifest.details.get("views", 1))

    @property
    def members(self) -> tuple["TokenCorpus", ...]:
        """As `Corpora` has them: a run of one corpus reads a mixture of one."""
        return (self,)

    @property
    def weights(self) -> tuple[float, ...]:
        return (1.0,)

    def reader(self, *, captions: bool = False) -> ShardReader:
        return ShardReader(self.folder, self.manifest, self.layout, self.source, captions=captions)

    def files(self, split: str, view: int) -> tuple[FileEntry, ...]:
        entries = self.manifest.group(f"{split}/view{view}")
        return tuple(sorted(entries, key=lambda entry: entry.index))

    def groups(self, split: str) -> tuple[RowGroup, ...]:
        """The split's row groups in file order; every view has the same.

        Raises:
            ValueError: two views have other row counts.
        """
        files = self.files(split, 0)
        for view in range(1, self.num_views if split == "train" else 1):
            if [e.rows for e in self.files(split, view)] != [e.rows for e in files]:
                raise ValueError(
                    f"{self.folder}: {split}/view{view} does not have the rows of "
                    f"{split}/view0; build the tokens again"
                )
        return tuple(
            RowGroup(file, index, min(ROW_GROUP_ROWS, entry.rows - index * ROW_GROUP_ROWS))
            for file, entry in enumerate(files)
            for index in range(-(-entry.rows // ROW_GROUP_ROWS))
        )

    def rows(self, split: str) -> int:
        return sum(entry.rows for entry in self.files(split, 0))

    def read_split(self, split: str, max_pairs: int, seed: int) -> Batch | None:
        """At most `max_pairs` pairs of a split's view 0, drawn by `seed`; None where it is empty.

        Raises:
            FileNotFoundError, ValueError: a shard is missing, damaged or does not fit.
        """
        groups, files, reader = self.groups(split), self.files(split, 0), self.reader()
        total = sum(group.rows for group in groups)
        if total == 0:
            return None
        drawn = keyed_generator(split.encode(), "evaluation", seed).permutation(total)
        chosen = np.sort(drawn[:max_pairs])
        parts: list[Batch] = []
        first = 0
        for group in groups:
            inside = chosen[(chosen >= first) & (chosen < first + group.rows)] - first
            first += group.rows
            if len(inside):
                rows = reader.read(GroupRequest(files[group.file], 0, group))
                text = lay_out_text(
                    self.layout, rows.text_ids, rows.text_offsets, text_dtype(self.layout)
                )
                parts.append(Batch(rows.pair_ids[inside], text[inside], rows.codes[inside]))
        return join_batches(parts)
