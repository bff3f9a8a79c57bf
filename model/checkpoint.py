"""Checkpoints that are whole or not there: safetensors and JSON, nothing that is unpickled.

    RUN/checkpoints/step-00001200/
        model-00000.safetensors  model-00001.safetensors ...   a table's slices, one file a rank
        optimizer-00000.safetensors ... ema-00000.safetensors ...
        state.json        step, data position, schedule, best held-out loss, time
        complete.json     SHA-256 of each file above: the marker, written last

Every rank writes its own files under a temporary name and leaves their hashes beside them
(`write_part`); when all have, one rank writes state and marker, renames (`finish`), and only then
are older ones deleted (`prune`). Reading looks at the marker and the hashes first, then takes the
rows that it needs from whichever slices hold them: any number of ranks reads what any other wrote.

torch.distributed.checkpoint has a safetensors writer too. It is not used: it makes each file in
memory a second time, refuses strided tensors, plans by exchanging pickled objects, reads
whatever lies in the folder, and knows neither a marker nor hashes (torch 2.13).
"""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from model.training.pieces import Piece
from model.training.slices import PIECES, SlicedTable

MARKER = "complete.json"
STATE = "state.json"
SLICE_NAME = re.compile(r"([a-z_]+)-\d{5}\.safetensors")

logger = logging.getLogger(__name__)

Tables = Mapping[str, Mapping[str, Piece]]
"""What one rank writes: pieces by name, in tables."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a folder held: tables of tensors by name, and plain values."""

    path: Path
    tables: dict[str, SlicedTable]
    state: dict[str, Any]

    def read_table(self, name: str) -> dict[str, Tensor]:
        """A table's tensors, whole.

        Raises:
            ValueError: there is no such table, or a slice of it is missing.
        """
        if name not in self.tables:
            raise ValueError(f"{self.path} has no table {name}")
        return self.tables[name].read_all()


def temporary_path(path: Path) -> Path:
    return path.parent / f".writing-{path.name}"


def write_part(path: Path, rank: int, tables: Tables) -> None:
    """Write one rank's files of the checkpoint `path`, and what they hash to.

    Raises:
        OSError: they could not be written.
    """
    folder = temporary_path(path)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, table in tables.items():
        files.append(folder / f"{name}-{rank:05d}.safetensors")
        pieces = {key: [p.start, *p.shape] for key, p in table.items() if not p.is_whole}
        values = {key: piece.value.contiguous() for key, piece in table.items()}
        _save_table(values, files[-1], {PIECES: json.dumps(pieces)})
    hashes = {file.name: _sync_and_hash(file) for file in files}
    (folder / f"part-{rank:05d}.json").write_text(json.dumps(hashes))


def _save_table(values: dict[str, Tensor], file: Path, metadata: dict[str, str]) -> None:
    try:
        save_file(values, file, metadata)
    except SafetensorError as err:  # how safetensors tells of a full disk
        raise OSError(f"{file} could not be written: {err}") from err


def finish(path: Path, num_ranks: int, state: Mapping[str, Any]) -> None:
    """Make a checkpoint of what all ranks have written; an older one of its name is replaced."""
    folder = temporary_path(path)
    hashes: dict[str, str] = {}
    for rank in range(num_ranks):
        part = folder / f"part-{rank:05d}.json"
        hashes |= json.loads(part.read_text())
        part.unlink()
    (folder / STATE).write_text(json.dumps(state, indent=1, sort_keys=True) + "\n")
    hashes[STATE] = _sync_and_hash(folder / STATE)
    (folder / MARKER).write_text(json.dumps(hashes, indent=1) + "\n")
    _sync_and_hash(folder / MARKER)
    _sync_folder(folder)
    if path.exists():
        # two renames: in between, a reader finds the older checkpoints
        stale = path.parent / f".stale-{path.name}"
        shutil.rmtree(stale, ignore_errors=True)
        path.rename(stale)
        folder.rename(path)
        shutil.rmtree(stale)
    else:
        folder.rename(path)
    _sync_folder(path.parent)


def save(path: Path, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
    """Write one checkpoint folder from one process; an older one of the same name is replaced."""
    discard(path)
    tables = {
        name: {key: Piece(value.detach(), 0, tuple(value.shape)) for key, value in table.items()}
        for name, table in tensors.items()
    }
    write_part(path, 0, tables)
    finish(path, 1, state)


def discard(path: Path) -> None:
    """Take away what was written of a checkpoint that will not be finished."""
    shutil.rmtree(temporary_path(path), ignore_errors=True)


def load(path: Path, trusted: bool = False) -> Checkpoint:
    """Open one checkpoint folder; tensors are read when they are asked for.

    Args:
        trusted: another rank has looked at the hashes.

    Raises:
        ValueError: the marker is missing, or a file is not what the marker says.
    """
    hashes = _read_marker(path)
    for name, expected in hashes.items():
        if not trusted and not _is_whole(path / name, expected):
            raise ValueError(f"{path / name} is damaged: its SHA-256 is not the one in {MARKER}")
    files: dict[str, list[Path]] = {}
    for name in sorted(hashes):
        if found := SLICE_NAME.fullmatch(name):
            files.setdefault(found[1], []).append(path / name)
    tables = {table: SlicedTable(parts) for table, parts in files.items()}
    return Checkpoint(path, tables, _read_object(path / STATE))


def _read_marker(path: Path) -> dict[str, str]:
    """File names of a checkpoint and their hashes; the names are those of files right in it."""
    try:
        hashes = _read_object(path / MARKER)
    except (OSError, ValueError) as err:
        raise ValueError(f"{path} is not a finished checkpoint: {MARKER} cannot be read") from err
    for name in hashes:
        if name != STATE and not SLICE_NAME.fullmatch(name):
            raise ValueError(f"{path / MARKER} names {name!r}, which is no file of a checkpoint")
    if STATE not in hashes:
        raise ValueError(f"{path / MARKER} names no {STATE}")
    return hashes


def _read_object(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as err:
        raise ValueError(f"{path} is no JSON: {err}") from None
    if not isinstance(document, dict):
        raise ValueError(f"{path} holds no JSON object")
    return document


def load_newest(folder: Path) -> Checkpoint | None:
    """The newest whole checkpoint below `folder`, or None; damaged ones are named and passed by."""
    for path in reversed(listed(folder)):
        try:
            return load(path)
        except ValueError as err:
            logger.warning("%s; trying the one before", err)
    return None


def prune(folder: Path, last: int, every: int = 0) -> None:
    """Delete all checkpoints but the newest `last` and those at multiples of `every` steps."""
    for path in listed(folder)[:-last]:
        if not every or step_of(path) % every:
            shutil.rmtree(path)


def step_path(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}"


def step_of(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def listed(folder: Path) -> list[Path]:
    """The checkpoints below `folder`, finished or damaged, oldest first."""
    found = folder.glob("step-*") if folder.is_dir() else ()
    return sorted(path for path in found if re.fullmatch(r"step-\d{8,}", path.name))


def _is_whole(file: Path, expected: str) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == expected


def _sync_and_hash(file: Path) -> str:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
