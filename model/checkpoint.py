"""Checkpoints that are whole or not there: safetensors and JSON, nothing that is unpickled.

    RUN/checkpoints/step-00001200/
        model.safetensors optimizer.safetensors ema.safetensors random.safetensors
        state.json        step, data position, schedule, best held-out loss, time
        complete.json     SHA-256 of each file above: the marker, written last

A checkpoint is written under a temporary name, synced, marked and renamed, and only then are
older ones deleted. Reading takes the newest whose marker and hashes hold.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

MARKER = "complete.json"
STATE = "state.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a folder held: tables of tensors by name, and plain values."""

    path: Path
    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def save(path: Path, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
    """Write one checkpoint folder; an older one of the same name is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".writing-{path.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    for name, table in tensors.items():
        contiguous = {key: value.detach().contiguous() for key, value in table.items()}
        save_file(contiguous, temporary / f"{name}.safetensors")
    (temporary / STATE).write_text(json.dumps(state, indent=1, sort_keys=True) + "\n")
    hashes = {file.name: _sync_and_hash(file) for file in sorted(temporary.iterdir())}
    (temporary / MARKER).write_text(json.dumps(hashes, indent=1) + "\n")
    _sync_and_hash(temporary / MARKER)
    _sync_folder(temporary)
    if path.exists():
        # two renames: in between, a reader finds the older checkpoints
        stale = path.parent / f".stale-{path.name}"
        shutil.rmtree(stale, ignore_errors=True)
        path.rename(stale)
        temporary.rename(path)
        shutil.rmtree(stale)
    else:
        temporary.rename(path)
    _sync_folder(path.parent)


def load(path: Path) -> Checkpoint:
    """Read one checkpoint folder.

    Raises:
        ValueError: the marker is missing, or a file is not what the marker says.
    """
    try:
        hashes: dict[str, str] = json.loads((path / MARKER).read_text())
    except (OSError, ValueError) as err:
        raise ValueError(f"{path} is not a finished checkpoint: {MARKER} cannot be read") from err
    for name, expected in hashes.items():
        if not (path / name).is_file() or _hash(path / name) != expected:
            raise ValueError(f"{path / name} is damaged: its SHA-256 is not the one in {MARKER}")
    tables = [name for name in hashes if name.endswith(".safetensors")]
    tensors = {name.removesuffix(".safetensors"): load_file(path / name) for name in tables}
    return Checkpoint(path, tensors, json.loads((path / STATE).read_text()))


def load_newest(folder: Path) -> Checkpoint | None:
    """The newest whole checkpoint below `folder`, or None; damaged ones are named and passed by."""
    for path in reversed(_listed(folder)):
        try:
            return load(path)
        except ValueError as err:
            logger.warning("%s; trying the one before", err)
    return None


def keep_last(folder: Path, count: int) -> None:
    """Delete all but the newest `count` checkpoints."""
    for path in _listed(folder)[:-count]:
        shutil.rmtree(path)


def step_path(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}"


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*")) if folder.is_dir() else []


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


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
