"""Training sequences straight from token shards, each pair exactly once per epoch.

The order of epoch e is a function of (seed, e) alone: its row groups are permuted, cut into
windows of a few, and the rows of a window are permuted among themselves. One stream of rows runs
through all epochs, cut into global batches; rank r takes its slice of each. So the order does not
depend on the number of ranks, a position is one small record, and finding it reads one window.

One background thread reads ahead. Worker processes would cost more than they bring: a thread
decodes some 200,000 rows a second.
"""

import hashlib
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from model.corpus import Batch, RowGroup, TokenCorpus, join_batches, make_batch
from tokens.draw import keyed_generator
from tokens.shards import TokenRows

WINDOW_GROUPS = 8
"""Row groups shuffled together: two rows of a batch of 512 share a group with chance 1/7."""
QUEUED_BATCHES = 4
READ_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Position:
    """Where a run stands in its data; part of every checkpoint."""

    epoch: int = 0
    row: int = 0
    """Rows of this epoch's order that are used up."""
    samples: int = 0
    """Rows used up since the run began."""
    order_sha256: str = ""
    """What decides the order: files, seed, window."""


@dataclass(frozen=True, slots=True)
class Window:
    """A few row groups and the order of their rows."""

    groups: tuple[RowGroup, ...]
    order: npt.NDArray[np.int64]


def epoch_windows(groups: tuple[RowGroup, ...], seed: int, epoch: int) -> Iterator[Window]:
    """The windows of one epoch, in order: a function of (seed, epoch) alone."""
    key = f"epoch {epoch}".encode()
    shuffled = keyed_generator(key, "row_groups", seed).permutation(len(groups))
    for start in range(0, len(groups), WINDOW_GROUPS):
        window = tuple(groups[i] for i in shuffled[start : start + WINDOW_GROUPS])
        generator = keyed_generator(key, f"window {start}", seed)
        yield Window(window, generator.permutation(sum(group.rows for group in window)))


class TokenLoader:
    """Batches without end; `position` says what has been handed out, and sets where to go on."""

    def __init__(
        self, corpus: TokenCorpus, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        if batch_size % world_size:
            raise ValueError(f"batch size {batch_size} does not divide among {world_size} ranks")
        self.corpus = corpus
        self.batch_size = batch_size
        self.seed = seed
        self.rank, self.world_size = rank, world_size
        self.groups = corpus.groups("train")
        if not self.groups:
            raise ValueError(f"{corpus.folder} holds no training pairs; look at the build's report")
        self.position = Position(order_sha256=self._order_sha256())
        self._reader: _Reader | None = None

    def _order_sha256(self) -> str:
        files = [
            entry.sha256
            for view in range(self.corpus.num_views)
            for entry in self.corpus.files("train", view)
        ]
        return hashlib.sha256(repr((files, self.seed, WINDOW_GROUPS)).encode()).hexdigest()

    def restore(self, position: Position) -> None:
        """Go on from `position`. Where the data has changed since (a newer manifest), the rest
        of the old epoch is left out and the next epoch begins, on the new data."""
        self.close()
        if position.order_sha256 != self.position.order_sha256:
            position = replace(
                position,
                epoch=position.epoch + 1,
                row=0,
                order_sha256=self.position.order_sha256,
            )
        self.position = position

    def next_batch(self) -> Batch:
        """This rank's slice of the next global batch.

        Raises:
            FileNotFoundError, ValueError: from reading a shard, at the batch that needs it.
        """
        if self._reader is None:
            self._reader = _Reader(self._batches(self.position))
        batch, self.position = self._reader.get()
        return batch

    def close(self) -> None:
        """Stop reading ahead; the next batch starts it again."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _batches(self, position: Position) -> Iterator[tuple[Batch, Position]]:
        pending: list[Batch] = []
        wanted = self.batch_size
        local = self.batch_size // self.world_size
        mine = slice(self.rank * local, (self.rank + 1) * local)
        for rows, order, epoch, first in self._windows(position):
            used = 0
            while used < len(order):
                index = order[used : used + wanted]
                # rows of the global batch that are already pending shift this rank's slice
                filled = self.batch_size - wanted
                part = index[max(0, mine.start - filled) : max(0, mine.stop - filled)]
                pending.append(make_batch(self.corpus.layout, rows, part))
                used, wanted = used + len(index), wanted - len(index)
                if wanted == 0:
                    position = replace(
                        position,
                        epoch=epoch,
                        row=first + used,
                        samples=position.samples + self.batch_size,
                    )
                    yield join_batches(pending), position
                    pending, wanted = [], self.batch_size

    def _windows(
        self, position: Position
    ) -> Iterator[tuple[TokenRows, npt.NDArray[np.int64], int, int]]:
        """(rows, their order, epoch, rows of the epoch before them) from `position` on."""
        epoch, skip = position.epoch, position.row
        while True:
            first = 0
            view = epoch % self.corpus.num_views
            for window in epoch_windows(self.groups, self.seed, epoch):
                end = first + len(window.order)
                if skip < end:
                    rows = self.corpus.read("train", view, list(window.groups))
                    used = max(0, skip - first)
                    yield rows, window.order[used:], epoch, first + used
                first = end
            epoch, skip = epoch + 1, 0


class _Reader:
    """Runs an iterator in one thread, a few items ahead, and hands its errors on."""

    def __init__(self, items: Iterator[tuple[Batch, Position]]) -> None:
        self._queue: queue.Queue[tuple[Batch, Position] | BaseException] = queue.Queue(
            QUEUED_BATCHES
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(items,), daemon=True)
        self._thread.start()

    def _run(self, items: Iterator[tuple[Batch, Position]]) -> None:
        try:
            for item in items:
                self._put(item)
                if self._stopped.is_set():
                    return
        except BaseException as err:  # handed to the caller of get(), which raises it
            self._put(err)

    def _put(self, item: tuple[Batch, Position] | BaseException) -> None:
        while not self._stopped.is_set():
            try:
                return self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue

    def get(self) -> tuple[Batch, Position]:
        try:
            item = self._queue.get(timeout=READ_TIMEOUT_S)
        except queue.Empty:
            raise TimeoutError(f"no batch could be read for {READ_TIMEOUT_S:.0f} s") from None
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()
