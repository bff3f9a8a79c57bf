"""Where a run goes on: which checkpoint, and how its tensors come into place."""

import logging
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from model import checkpoint
from model.checkpoint import Checkpoint
from model.training.distribution import Distribution
from model.training.pieces import fill
from model.training.slices import SlicedTable

logger = logging.getLogger(__name__)


def find_checkpoint(
    folder: Path, distribution: Distribution, step: int | None = None
) -> Checkpoint | None:
    """The newest whole checkpoint, or that of `step`; None where there is none yet.

    The first rank looks at the hashes, the others take its word. Newer checkpoints than that of a
    `step` asked for are set aside under another name: the run leaves their course.

    Raises:
        ValueError: the checkpoint of `step` is damaged or not there.
    """
    if step is not None:
        found = _load_step(folder, step)
        distribution.meet()
        if distribution.is_first:
            _set_aside(folder, step)
        return found
    newest = checkpoint.load_newest(folder) if distribution.is_first else None
    chosen = distribution.from_first(-1 if newest is None else checkpoint.step_of(newest.path))
    if newest is not None or chosen < 0:
        return newest
    return checkpoint.load(checkpoint.step_path(folder, int(chosen)), trusted=True)


def _load_step(folder: Path, step: int) -> Checkpoint:
    path = checkpoint.step_path(folder, step)
    if not path.exists():
        have = ", ".join(str(checkpoint.step_of(other)) for other in checkpoint.listed(folder))
        raise ValueError(f"there is no checkpoint of step {step}; there are: {have or 'none'}")
    return checkpoint.load(path)


def _set_aside(folder: Path, step: int) -> None:
    for path in checkpoint.listed(folder):
        if checkpoint.step_of(path) > step:
            aside = path.with_name(f"left-{path.name}")
            logger.info("%s is newer than what the run goes on from; it is now %s", path, aside)
            path.rename(aside)


def fill_tables(found: Checkpoint, tables: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Copy the checkpoint's tensors into those of `tables`, or this rank's slices of them.

    Raises:
        ValueError: a tensor is missing or has another shape.
    """
    for table, tensors in tables.items():
        if table not in found.tables:
            raise ValueError(f"{found.path} does not fit this run: it has no table {table}")
        for name, tensor in tensors.items():
            try:
                _fill_from(found.tables[table], name, tensor)
            except ValueError as err:
                raise ValueError(f"{found.path} does not fit this run: {name}: {err}") from err


def _fill_from(source: SlicedTable, name: str, tensor: Tensor) -> None:
    shape, needed = source.shapes.get(name), tuple(tensor.shape)
    if shape != needed:
        raise ValueError(f"its shape is {shape} there, {needed} is needed")
    fill(tensor, lambda start, stop: source.read(name, start, stop))
