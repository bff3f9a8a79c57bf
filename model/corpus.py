"""A build's tokens folder, read through its manifest: rows as arrays, and as laid-out batches."""

from dataclasses import dataclass

import fsspec
import numpy as np
import numpy.typing as npt

from tokens.draw import keyed_generator
from tokens.manifest import FileEntry, Manifest, join_url, read_manifest
from tokens.sequence import SequenceLayout, lay_out_text
from tokens.shards import ROW_GROUP_ROWS, TokenRows, open_shard, read_row_groups


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group of every view's file series."""

    file: int
    index: int
    """Of the group in its file."""
    rows: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences in two parts, ready for the network."""

    pair_ids: npt.NDArray[np.void]
    text: npt.NDArray[np.int64]
    """[B, text_slots]"""
    image: npt.NDArray[np.int64]
    """[B, num_codes]"""


class TokenCorpus:
    """A build's tokens folder, through its manifest."""

    def __init__(self, folder: str) -> None:
        """Read the manifest; no shard is opened yet.

        Raises:
            FileNotFoundError, ValueError: no manifest, or one that a trainer cannot use.
        """
        self.folder = folder
        self.manifest: Manifest = read_manifest(folder)
        self.layout = SequenceLayout.from_details(self.manifest.details)
        self.num_views = int(self.manifest.details.get("views", 1))

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

    def read(self, split: str, view: int, groups: list[RowGroup]) -> TokenRows:
        """The rows of some groups, in the order given.

        Raises:
            FileNotFoundError, ValueError: a shard is missing, damaged or does not fit.
        """
        files = self.files(split, view)
        parts = [self._read_group(files[group.file], view, group) for group in groups]
        return parts[0] if len(parts) == 1 else _concatenate(parts)

    def _read_group(self, entry: FileEntry, view: int, group: RowGroup) -> TokenRows:
        url = join_url(self.folder, entry.name)
        filesystem, path = fsspec.url_to_fs(url)
        try:
            source = filesystem.open(path, "rb")
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{url} is in the manifest but not there; build the tokens again"
            ) from None
        with source:
            file = open_shard(source, self.layout, view, url)
            if file.metadata.num_rows != entry.rows:
                raise ValueError(
                    f"{url} has {file.metadata.num_rows} rows, its manifest says {entry.rows}"
                )
            return read_row_groups(file, [group.index], self.layout, url)


def _concatenate(parts: list[TokenRows]) -> TokenRows:
    starts = np.cumsum([0] + [len(part.text_ids) for part in parts])
    offsets = [part.text_offsets[:-1] + start for part, start in zip(parts, starts, strict=False)]
    return TokenRows(
        pair_ids=np.concatenate([part.pair_ids for part in parts]),
        text_ids=np.concatenate([part.text_ids for part in parts]),
        text_offsets=np.concatenate([*offsets, starts[-1:]]),
        codes=np.concatenate([part.codes for part in parts]),
    )


def make_batch(layout: SequenceLayout, rows: TokenRows, index: npt.NDArray[np.int64]) -> Batch:
    """Lay out the rows at `index`."""
    lengths = np.diff(rows.text_offsets)[index]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    ids = rows.text_ids[np.repeat(rows.text_offsets[index], lengths) + within]
    return Batch(
        pair_ids=rows.pair_ids[index],
        text=lay_out_text(layout, ids, offsets),
        image=rows.codes[index].astype(np.int64),
    )


def join_batches(parts: list[Batch]) -> Batch:
    """One batch of several, in order."""
    if len(parts) == 1:
        return parts[0]
    return Batch(
        np.concatenate([part.pair_ids for part in parts]),
        np.concatenate([part.text for part in parts]),
        np.concatenate([part.image for part in parts]),
    )


def read_split(corpus: TokenCorpus, split: str, max_pairs: int, seed: int) -> Batch | None:
    """At most `max_pairs` pairs of a split's view 0, drawn by `seed`; None where it is empty."""
    groups = list(corpus.groups(split))
    total = sum(group.rows for group in groups)
    if total == 0:
        return None
    chosen = keyed_generator(split.encode(), "evaluation", seed).permutation(total)[:max_pairs]
    chosen = np.sort(chosen)
    parts: list[Batch] = []
    first = 0
    for group in groups:
        inside = chosen[(chosen >= first) & (chosen < first + group.rows)] - first
        first += group.rows
        if len(inside):
            parts.append(make_batch(corpus.layout, corpus.read(split, 0, [group]), inside))
    return join_batches(parts)
