"""Checkpoints of a run while it goes on.

`begin` copies what this rank holds and starts a thread that writes the copy; training goes on.
Each step the ranks tell each other how many are still writing (`signals`), and `heed` finishes the
checkpoint when none is. A write that fails (a full disk) costs that checkpoint alone: it is said,
the older ones stay, and the next one is tried; MAX_FAILURES in a row stop the run.
All ranks need one folder: a shared file system where they are on several machines.
"""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from model import checkpoint
from model.config import Loop
from model.training.distribution import Distribution
from model.training.pieces import Piece, piece_of, replica_of

MAX_FAILURES = 3

logger = logging.getLogger(__name__)

Tensors = Mapping[str, Mapping[str, Tensor]]


class Writing(threading.Thread):
    """One rank's part of a checkpoint, being written."""

    def __init__(
        self, path: Path, state: Mapping[str, Any], rank: int, tables: checkpoint.Tables
    ) -> None:
        super().__init__(name=f"checkpoint {path.name}")
        self.path, self.state = path, state
        self.failure: OSError | None = None
        self._rank, self._tables = rank, tables

    def run(self) -> None:
        try:
            checkpoint.write_part(self.path, self._rank, self._tables)
        except OSError as err:
            self.failure = err


class Saver:
    """Writes the checkpoints of one run; all ranks call the same methods in the same order."""

    def __init__(self, folder: Path, loop: Loop, distribution: Distribution) -> None:
        self.folder, self.loop, self.distribution = folder, loop, distribution
        self.failures = 0
        """In a row."""
        self._writing: Writing | None = None

    def begin(self, path: Path, tensors: Tensors, state: Mapping[str, Any]) -> None:
        """Copy `tensors` and start to write them and `state` as the checkpoint `path`.

        Raises:
            OSError: MAX_FAILURES checkpoints in a row could not be written.
        """
        self.finish()
        if self.distribution.is_first:
            checkpoint.discard(path)
        self.distribution.meet()
        rank = self.distribution.world.rank
        self._writing = Writing(path, state, rank, self._copy(tensors))
        self._writing.start()

    def _copy(self, tensors: Tensors) -> dict[str, dict[str, Piece]]:
        """What this rank has to write, in memory of its own; replicas share the work."""
        rank, size = self.distribution.world.rank, self.distribution.world.size
        copied: dict[str, dict[str, Piece]] = {}
        loads: dict[int, list[int]] = {}
        for table, values in tensors.items():
            copied[table] = {}
            for name, tensor in values.items():
                replica, replicas = replica_of(tensor, rank, size)
                load = loads.setdefault(replicas, [0] * replicas)
                writer = load.index(min(load))
                load[writer] += tensor.nbytes
                piece = piece_of(tensor)
                if writer == replica and (piece.is_whole or piece.value.numel()):
                    value = piece.value.to("cpu", copy=True)
                    copied[table][name] = Piece(value, piece.start, piece.shape)
        return copied

    @property
    def signals(self) -> tuple[float, float]:
        """Whether this rank is writing, and whether it failed; for the sum over ranks."""
        if self._writing is None:
            return 0.0, 0.0
        return float(self._writing.is_alive()), float(self._writing.failure is not None)

    def heed(self, still_writing: float, failed: float) -> None:
        """Finish the checkpoint, or give it up, when no rank writes any more."""
        if self._writing is None or still_writing:
            return
        writing, self._writing = self._writing, None
        if writing.failure is not None:
            logger.warning("checkpoint %s: %s", writing.path.name, writing.failure)
        failure = None if failed else self._finish(writing)
        failed += self.distribution.total([float(failure is not None)])[0]
        self.failures = self.failures + 1 if failed else 0
        if failed and self.distribution.is_first:
            checkpoint.discard(writing.path)
            logger.warning(
                "checkpoint %s was given up; the older ones stay%s",
                writing.path.name,
                "" if failure is None else f" ({failure})",
            )
        if self.failures >= MAX_FAILURES:
            raise OSError(f"{self.failures} checkpoints in a row could not be written; stopped")

    def _finish(self, writing: Writing) -> OSError | None:
        if not self.distribution.is_first:
            return None
        try:
            checkpoint.finish(writing.path, self.distribution.world.size, writing.state)
            if writing.path.parent == self.folder:
                checkpoint.prune(self.folder, self.loop.keep_checkpoints, self.loop.keep_every)
        except OSError as err:
            return err
        return None

    def finish(self) -> None:
        """Wait for the checkpoint that is being written, if there is one."""
        if self._writing is None:
            return
        self._writing.join()
        self.heed(*self.distribution.total(self.signals))

    def save(self, path: Path, tensors: Tensors, state: Mapping[str, Any]) -> bool:
        """Write a checkpoint and wait for it; False where it could not be written."""
        self.begin(path, tensors, state)
        self.finish()
        return self.failures == 0
