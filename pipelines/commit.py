"""Committed files: a unit's file appears whole, under its final name, or not at all.

On a disk the file is written under a temporary name, synced, hashed and renamed; on an object
store it is one PUT that succeeds or does not. Then a record `<name>.json` is written the same
way beside it: the unit is finished when its record is there. A name carries a key made of
everything that decides the bytes, so a file is never written over: other input, other name.
"""

import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import IO, Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from tokens.manifest import MANIFEST_NAME, FileEntry, Manifest, join_url, read_manifest

Writer = Callable[[IO[bytes]], None]

ROW_GROUP_ROWS = 1000
"""Rows per row group of a unit: about 15 MB of pictures."""


@dataclass(frozen=True, slots=True)
class Output:
    """Where one work item's file goes, and what its name stands for."""

    folder: str
    name: str
    group: str = ""
    index: int = 0

    @property
    def url(self) -> str:
        return join_url(self.folder, self.name)


@dataclass(frozen=True, slots=True)
class Written:
    """What an item says of the file that it has written."""

    rows: int
    counts: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    side: dict[str, Any] = field(default_factory=dict)
    """Timings and the like: kept in the record, never in the file or the manifest."""


def make_digest(*parts: str) -> str:
    """One SHA-256 (hex) of several texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def make_key(*parts: str) -> str:
    """Eight hex digits that stand for all of `parts` in a file's name."""
    return make_digest(*parts)[:8]


def unit_output(folder: str, index: int, *parts: str) -> Output:
    """Where a unit's table goes that `parts` decide: "00012-1a2b3c4d.parquet"."""
    return Output(folder, f"{index:05d}-{make_key(*parts)}.parquet", index=index)


def hash_file(url: str) -> str:
    """SHA-256 (hex) of a file as it stands."""
    with fsspec.open(url, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_entries(entries: tuple[FileEntry, ...]) -> str:
    """One digest of a list of committed files."""
    return make_digest(*(f"{entry.name} {entry.sha256}" for entry in entries))


def commit_file(output: Output, write: Writer, written: Written) -> FileEntry:
    """Write a unit's file and its record.

    Args:
        output: where it goes.
        write: writes the file's bytes into an open binary file.
        written: what the file holds.
    """
    size, digest = _put(output.url, write)
    entry = FileEntry(
        output.name,
        output.group,
        output.index,
        written.rows,
        size,
        digest,
        written.counts,
        written.splits,
    )
    record = {"entry": asdict(entry), "side": written.side}
    put_text(record_url(output), json.dumps(record, indent=1, sort_keys=True) + "\n")
    return entry


def commit_table(output: Output, table: pa.Table, written: Written) -> FileEntry:
    """Write a unit's table as Parquet with page checksums, without statistics of big columns."""
    return commit_file(output, lambda file: write_table(file, table), written)


def write_table(file: IO[bytes], table: pa.Table) -> None:
    """A unit's table, as a `Writer` wants it."""
    pq.write_table(
        table,
        file,
        row_group_size=ROW_GROUP_ROWS,
        compression={name: _codec(table, name) for name in table.column_names},
        write_page_checksum=True,
    )


def _codec(table: pa.Table, column: str) -> str:
    """Pictures and hashes do not shrink."""
    return "zstd" if not pa.types.is_binary(table.schema.field(column).type) else "none"


def record_url(output: Output) -> str:
    return output.url + ".json"


def read_record(output: Output) -> FileEntry | None:
    """The entry of a finished item; None where it is not finished or its file has gone.

    A record that cannot be read (torn by a power cut) finishes nothing either.
    """
    filesystem, path = fsspec.url_to_fs(output.url)
    try:
        entry = FileEntry(**json.loads(filesystem.cat_file(path + ".json"))["entry"])
        return entry if filesystem.size(path) == entry.bytes else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def read_side(output: Output) -> dict[str, Any]:
    """What a finished item said besides its file: timings and the like."""
    filesystem, path = fsspec.url_to_fs(record_url(output))
    side: dict[str, Any] = json.loads(filesystem.cat_file(path))["side"]
    return side


def require_record(output: Output) -> FileEntry:
    """The entry of an item that must be finished by now."""
    entry = read_record(output)
    if entry is None:
        raise RuntimeError(f"{output.url} was not committed")
    return entry


def current_manifest(folder: str) -> Manifest | None:
    """The manifest of a stage's folder, or None before its first generation."""
    try:
        return read_manifest(folder)
    except FileNotFoundError:
        return None


def publish(folder: str, manifest: Manifest) -> Manifest:
    """Make `manifest` the current generation; the one before it is kept as manifest-<n>.json.

    Publishing what is current already changes nothing.
    """
    old = current_manifest(folder)
    if old is None:
        fresh = manifest.numbered(1)
    elif manifest.numbered(old.generation) == old:
        return old
    else:
        put_text(join_url(folder, f"manifest-{old.generation}.json"), old.to_json())
        fresh = manifest.numbered(old.generation + 1)
    put_text(join_url(folder, MANIFEST_NAME), fresh.to_json())
    return fresh


def put_text(url: str, text: str) -> None:
    """Replace a small file in one step."""
    put_bytes(url, text.encode())


def put_bytes(url: str, data: bytes) -> None:
    """Replace a file in one step."""
    _put(url, lambda file: write_all(file, data))


def put_table(url: str, table: pa.Table) -> None:
    """Replace a table in one step."""
    _put(url, lambda file: write_table(file, table))


def copy_file(source: str, url: str) -> str:
    """Replace a file by another one's bytes in one step; returns their SHA-256 (hex)."""
    with fsspec.open(source, "rb") as file:
        return _put(url, lambda sink: shutil.copyfileobj(file, sink, 1 << 22))[1]


def write_all(file: IO[bytes], data: bytes) -> None:
    """A file's whole content, as a `Writer` wants it."""
    file.write(data)


def _put(url: str, write: Writer) -> tuple[int, str]:
    """Write a file in one step; returns its size in bytes and SHA-256."""
    filesystem, path = fsspec.url_to_fs(url)
    if isinstance(filesystem, LocalFileSystem):
        return _put_local(path, write)
    with tempfile.TemporaryFile() as file:
        write(file)
        size, digest = _measure(file)
        with filesystem.open(path, "wb") as remote:  # visible when closed: one PUT or one upload
            shutil.copyfileobj(file, remote, 1 << 22)
    return size, digest


def _put_local(path: str, write: Writer) -> tuple[int, str]:
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, f".{name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "w+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            size, digest = _measure(file)
        os.replace(temporary, path)
        _sync_folder(folder)
    except BaseException as err:
        if isinstance(err, OSError) and err.filename is None:
            err.filename = path  # a full disk does not say whose
        if os.path.exists(temporary):
            os.remove(temporary)
        raise
    return size, digest


def _measure(file: IO[bytes]) -> tuple[int, str]:
    """Size and SHA-256 of an open file, which is left at its start."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # IO[bytes] has what it needs
    file.seek(0)
    return size, digest


def _sync_folder(folder: str) -> None:
    """Make a rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
