"""New files in the place of those that hold what has to go, and new generations that name them.

Every stage keeps the files that hold nothing of it. A unit's new file gets the name that the
stage's own plan gives to what it would make of the purged input, and every manifest names its
inputs as they are now, so that the next build finds each stage as current as it was. Nothing is
written over and nothing is removed here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa

from pipelines.checking.verification import STAGES
from pipelines.commit import (
    Output,
    Written,
    commit_file,
    commit_table,
    current_manifest,
    hash_entries,
    make_key,
    publish,
    read_record,
    read_side,
    unit_output,
)
from pipelines.fetch import pairs_output, read_rounds
from pipelines.ledger import add_counts, count_outcomes
from pipelines.progress import ProgressLine
from pipelines.purging.beside import renew_digests
from pipelines.purging.burial import GRAVES, Grave, Mask
from pipelines.purging.tombstones import Tombstones
from pipelines.sources import ROWS_SCHEMA
from tokens.manifest import FileEntry, Manifest, join_url, read_table
from tokens.shards import write_shard

MADE_OF = {"pairs": "rows", "signals": "pairs"}
"""Folders whose files' names say what unit of which other folder each was made of."""
OUTCOMES = {"pairs": "outcome", "decisions": "reason"}
"""The column whose values a folder's files count."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one stage's files."""

    folder: str
    files: int
    anew: int
    """Files that were written anew, of `files`."""
    rows: int
    """Rows that were buried or taken out."""


def read_generations(directory: str) -> dict[str, int]:
    """The number of each stage's current generation, by its folder."""
    found = {folder: current_manifest(join_url(directory, folder)) for folder in STAGES}
    return {folder: one.generation for folder, one in found.items() if one is not None}


def rewrite(
    directory: str, generations: Mapping[str, int], gone: Tombstones
) -> tuple[dict[str, Manifest], list[Change]]:
    """Write what the next generations need; publishes nothing.

    Args:
        generations: those that the purge began with.
    """
    stages = [folder for folder in STAGES if folder in generations]
    before = {folder: _read(directory, folder, generations[folder]) for folder in stages}
    after: dict[str, Manifest] = {}
    changes = []
    with ProgressLine("Purge Files", sum(len(one.files) for one in before.values())) as line:
        for folder in stages:
            stage = StagePurge(directory, folder, before, after, gone)
            files, rows = [], 0
            for entry in before[folder].files:
                made, buried = stage.purge(entry)
                files.append(made)
                rows += buried
                line.advance(1)
            anew = sum(one not in before[folder].files for one in files)
            renewed = _renew(folder, before, after, tuple(files))
            beside = renew_digests(stage.url, renewed, gone)
            details = {**renewed.details, **({"beside": beside} if beside else {})}
            after[folder] = replace(renewed, details=details)
            changes.append(Change(folder, len(files), anew, rows))
    return after, changes


def publish_all(directory: str, after: Mapping[str, Manifest]) -> None:
    """Make the new generations the current ones, the first stage's first."""
    for folder, manifest in after.items():
        publish(join_url(directory, folder), manifest)


def _read(directory: str, folder: str, generation: int) -> Manifest:
    """One generation, which may be the one before the current."""
    url = join_url(directory, folder)
    current = current_manifest(url)
    if current is not None and current.generation == generation:
        return current
    older = join_url(url, f"manifest-{generation}.json")
    filesystem, path = fsspec.url_to_fs(older)
    return Manifest.from_json(filesystem.cat_file(path).decode(), older)


def _renew(
    folder: str,
    before: Mapping[str, Manifest],
    after: Mapping[str, Manifest],
    files: tuple[FileEntry, ...],
) -> Manifest:
    """The next generation; what was made of the current inputs is made of their next ones."""
    old = before[folder]
    renewed = {
        name: hash_entries(after[name].files)
        for name in STAGES[folder]
        if name in after and old.inputs.get(name) == hash_entries(before[name].files)
    }
    return replace(old, files=files, counts=add_counts(files), inputs={**old.inputs, **renewed})


@dataclass(frozen=True, slots=True)
class StagePurge:
    """The purge of one stage's files."""

    directory: str
    folder: str
    before: Mapping[str, Manifest]
    after: Mapping[str, Manifest]
    """The stages before this one, purged."""
    gone: Tombstones

    @property
    def url(self) -> str:
        return join_url(self.directory, self.folder)

    @property
    def grave(self) -> Grave:
        return GRAVES[self.folder]

    def purge(self, entry: FileEntry) -> tuple[FileEntry, int]:
        """The file that stands for `entry` from now on, and how many rows were buried in it."""
        mask = self._find(entry)
        planned = self._planned(entry, self.before)
        in_place = planned is not None and planned.name == entry.name
        output = self._planned(entry, self.after) if in_place else None
        if not mask.any() and (output is None or output.name == entry.name):
            return entry, 0
        table = read_table(self.url, entry)
        output = output or self._named(entry, table, mask)
        return read_record(output) or self._write(entry, output, table, mask), int(mask.sum())

    def _find(self, entry: FileEntry) -> Mask:
        """Which rows have to go; a look at a few columns spares the rest of most files."""
        slim = read_table(self.url, entry, self.grave.columns)
        return self.grave.find(slim, self.gone)

    def _planned(self, entry: FileEntry, manifests: Mapping[str, Manifest]) -> Output | None:
        """Where the stage itself would put what it makes of this unit; None: that is not known."""
        made_of = MADE_OF.get(self.folder)
        unit = None if made_of is None else _unit(manifests.get(made_of), entry.index)
        if unit is None:
            return None
        old = self.before[self.folder]
        if self.folder == "pairs":
            return pairs_output(self.url, old.section_sha256, unit, read_rounds(old))
        return unit_output(self.url, entry.index, old.section_sha256, unit.sha256)

    def _named(self, entry: FileEntry, table: pa.Table, mask: Mask) -> Output:
        """A name made of the file as it was, and of what goes out of it."""
        rows = np.flatnonzero(mask).tolist()
        key = make_key("purge", entry.sha256, *map(str, rows))
        stem = entry.group + "-" if entry.group else ""
        name = f"{stem}{entry.index:05d}-{key}.parquet"
        return Output(self.url, name, entry.group, entry.index)

    def _write(self, entry: FileEntry, output: Output, table: pa.Table, mask: Mask) -> FileEntry:
        buried = self.grave.bury(table, mask)
        written = Written(len(buried), *self._count(buried), self._read_side(entry))
        if self.folder == "tokens":
            return commit_file(output, lambda sink: write_shard(sink, buried), written)
        if self.folder == "rows":  # to the byte what cutting the source again would write
            buried = buried.select(ROWS_SCHEMA.names).cast(ROWS_SCHEMA)
        return commit_table(output, buried.combine_chunks(), written)

    def _read_side(self, entry: FileEntry) -> dict[str, Any]:
        """What was said of the old file, how long it took, say, stays true of the new one."""
        try:
            return read_side(Output(self.url, entry.name))
        except FileNotFoundError:
            return {}

    def _count(self, table: pa.Table) -> tuple[dict[str, int], dict[str, int]]:
        """Rows per outcome and per split, as the stage's own files count them."""
        column = OUTCOMES.get(self.folder)
        counts = {} if column is None else count_outcomes(table[column])
        if self.folder != "decisions":
            return counts, {}
        return counts, count_outcomes(table["split"].drop_null())


def _unit(manifest: Manifest | None, index: int) -> FileEntry | None:
    """A unit's file; units stand in the order of their numbers."""
    if manifest is None or index >= len(manifest.files):
        return None
    entry = manifest.files[index]
    return entry if entry.index == index else None
