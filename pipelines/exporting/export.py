"""What an export writes: which rows go into which file, and the note that says what it is.

An output file is a range of rows of one split and view, so that any of them can be written by
itself and one that is there already is passed over. `export.json` is written first and tells
an export that goes on from another one; its `complete` is the last thing that is written.
"""

import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import fsspec
import pyarrow as pa

from pipelines.exporting.mds import Mds
from pipelines.exporting.tar_samples import TarSamples
from pipelines.progress import ProgressLine
from tokens.manifest import FileEntry, Manifest, join_url, read_manifest, read_table
from tokens.put import put_file
from tokens.sequence import SequenceLayout

NOTE = "export.json"
MAX_SHARD_ROWS = 1 << 18
"""MDS counts the bytes of a file in 32 bits."""


class Format(Protocol):
    """How rows become a file."""

    reading: str
    """Python that reads a folder, with the place of the folder as {folder}."""

    def file_name(self, index: int) -> str: ...

    def encode(self, rows: pa.Table) -> bytes:
        """A file's bytes; `rows` has the columns of a token shard."""
        ...

    def index(self, files: list[tuple[str, int, int]]) -> bytes | None:
        """What stands in index.json of a folder whose files have (name, rows, bytes)."""
        ...


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """What decides an export's bytes, besides the build."""

    format: str
    """webdataset or mds."""
    view: int | None
    """The view of the training pairs; None takes all."""
    shard_rows: int
    """Samples of a file, the last one of a folder has fewer."""

    def __post_init__(self) -> None:
        if not 1 <= self.shard_rows <= MAX_SHARD_ROWS:
            raise ValueError(
                f"--shard_rows is {self.shard_rows}; a file has 1 to {MAX_SHARD_ROWS} samples"
            )

    def make_format(self, layout: SequenceLayout) -> Format:
        return TarSamples() if self.format == "webdataset" else Mds(layout)


def export_tokens(directory: str, out: str, settings: ExportSettings) -> list[str]:
    """Write what is not there yet of an export of a build.

    Returns:
        Lines that say what there is now and how it is read.

    Raises:
        FileNotFoundError: the build has no tokens.
        ValueError: the folder holds something else, or the build has no such view.
    """
    _refuse_inside(directory, out)
    folder = join_url(directory, "tokens")
    manifest = read_manifest(folder)
    writing = settings.make_format(SequenceLayout.from_details(manifest.details))
    groups = choose_groups(manifest, settings.view)
    note = make_note(manifest, settings)
    _claim(out, note)
    rows = sum(entry.rows for entries in groups.values() for entry in entries)
    with ProgressLine(f"Export to {settings.format}", rows) as line:
        for group, entries in groups.items():
            _export_group(folder, entries, join_url(out, group), settings, writing, line)
    put_file(join_url(out, NOTE), _to_json(note | {"complete": True}))
    lines = [f"{rows:,} samples in {out}: {', '.join(groups)}"]
    return [*lines, *writing.reading.format(folder=join_url(out, next(iter(groups)))).split("\n")]


def choose_groups(manifest: Manifest, view: int | None) -> dict[str, tuple[FileEntry, ...]]:
    """The files of each split and view, in order; validation pairs have one view alone."""
    views = range(int(manifest.details.get("views", 1))) if view is None else (view,)
    names = [*(f"train/view{index}" for index in views), "val/view0"]
    groups = {
        name: tuple(sorted(manifest.group(name), key=lambda entry: entry.index)) for name in names
    }
    if view is not None and not groups[f"train/view{view}"]:
        raise ValueError(
            f"--view is {view}, but the training pairs of this build have "
            f"{manifest.details.get('views', 1)} views, counted from 0"
        )
    return {name: entries for name, entries in groups.items() if entries}


def make_note(manifest: Manifest, settings: ExportSettings) -> dict[str, Any]:
    """What the export is of: the same for the same tokens, however often they are exported."""
    files = "".join(f"{entry.name} {entry.sha256}\n" for entry in manifest.files)
    return asdict(settings) | {
        "tokens_sha256": hashlib.sha256(files.encode()).hexdigest(),
        "details": manifest.details,
        "complete": False,
    }


def _refuse_inside(directory: str, out: str) -> None:
    """A purge rewrites what a build holds, and knows no export."""
    (_, above), (_, below) = fsspec.url_to_fs(directory), fsspec.url_to_fs(out)
    if f"{below}/".startswith(f"{above.rstrip('/')}/"):
        raise ValueError(f"{out} lies in the build {directory}: name a folder outside of it")


def _claim(out: str, note: dict[str, Any]) -> None:
    filesystem, path = fsspec.url_to_fs(out)
    url = join_url(out, NOTE)
    if filesystem.exists(fsspec.url_to_fs(url)[1]):
        found = json.loads(filesystem.cat_file(fsspec.url_to_fs(url)[1]))
        if found | {"complete": False} != note:
            raise ValueError(f"{out} holds an export of other tokens or settings: name another")
    elif filesystem.exists(path) and filesystem.ls(path):
        raise ValueError(f"{out} is not empty and holds no export: name an empty or new folder")
    else:
        put_file(url, _to_json(note))


def _to_json(note: dict[str, Any]) -> bytes:
    return (json.dumps(note, indent=1, sort_keys=True) + "\n").encode()


def _export_group(
    folder: str,
    entries: tuple[FileEntry, ...],
    out: str,
    settings: ExportSettings,
    writing: Format,
    line: ProgressLine,
) -> None:
    """Write one split and view, and its index where the format has one."""
    filesystem, _ = fsspec.url_to_fs(out)
    total = sum(entry.rows for entry in entries)
    read = functools.lru_cache(maxsize=1)(lambda place: read_table(folder, entries[place]))
    files = []
    for index, start in enumerate(range(0, total, settings.shard_rows)):
        rows = min(settings.shard_rows, total - start)
        name = writing.file_name(index)
        path = fsspec.url_to_fs(join_url(out, name))[1]
        if not filesystem.exists(path):
            pieces = [read(place).slice(at, n) for place, at, n in cut(entries, start, rows)]
            put_file(join_url(out, name), writing.encode(pa.concat_tables(pieces)))
        files.append((name, rows, int(filesystem.size(path))))
        line.advance(rows)
    if (contents := writing.index(files)) is not None:
        put_file(join_url(out, "index.json"), contents)


def cut(entries: tuple[FileEntry, ...], start: int, rows: int) -> Iterator[tuple[int, int, int]]:
    """Which files hold rows [start, start + rows) of a series: (place in it, first row, rows)."""
    for place, entry in enumerate(entries):
        first, last = max(start, 0), min(start + rows, entry.rows)
        if first < last:
            yield place, first, last - first
        start -= entry.rows
