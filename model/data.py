"""Training sequences straight from token shards, each pair exactly once per epoch.

    shards -> row groups -> a window, shuffled -> batches -> pinned memory -> device
              (prefetch)    (window_rows)         (one thread, a few ahead)

Sample n of a run is a function of (corpora, seed, n) alone: `mixing` says which corpus it comes
from, `order` which of its pairs. The samples are cut into global batches, and rank r takes its
slice of each. So a position is one number, good for any batch size and any number of ranks, and
finding it again reads one window.

One background thread reads ahead. Worker processes would cost more than they bring: a thread
decodes some 200,000 rows a second, and nothing has to be left in shared memory.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from model.loading import order
from model.loading.batch import Batch, empty_batch
from model.loading.corpora import Data
from model.loading.mixing import Mixing
from model.loading.pair_stream import PairStream, Places
from model.loading.prefetch import Background
from model.loading.recaption import Recaptioner

QUEUED_BATCHES = 16


@dataclass(frozen=True, slots=True)
class Position:
    """Where a run stands in its data; part of every checkpoint."""

    samples: int = 0
    """Pairs used up since the run began, over all ranks."""
    order_sha256: str = ""
    """What decides the order: files, weights, seed, window. With `samples` it says all of a run
    whose data has not changed; the rest is there for one whose data has."""
    epoch: int = 0
    """Of the last pair."""
    origin_samples: int = 0
    """`samples` when the data last changed."""
    origin_epoch: int = 0
    """The epoch that began there."""


class TokenLoader:
    """Batches without end; `position` says what has been handed out, and sets where to go on."""

    def __init__(
        self,
        corpora: Data,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        *,
        bpe_dropout: float | None = None,
    ) -> None:
        """
        Args:
            batch_size: pairs of a global batch, of all ranks together.
            bpe_dropout: tokenise the captions anew with this dropout; None: take the ids as stored.

        Raises:
            FileNotFoundError, ValueError: no such batch, or data that cannot be trained on.
        """
        if batch_size % world_size:
            raise ValueError(f"batch size {batch_size} does not divide among {world_size} ranks")
        self.corpora, self.batch_size, self.seed = corpora, batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.mixing = Mixing(corpora.weights, seed)
        self.groups = [corpus.groups("train") for corpus in corpora.members]
        self._rows = [sum(group.rows for group in groups) for groups in self.groups]
        for corpus, rows in zip(corpora.members, self._rows, strict=True):
            if not rows:
                raise ValueError(
                    f"{corpus.folder} holds no training pairs; look at the build's report"
                )
        self._recaptioners = [
            None if bpe_dropout is None else Recaptioner.of(corpus, bpe_dropout, seed)
            for corpus in corpora.members
        ]
        self.position = Position(order_sha256=self._order_sha256())
        self._background: Background[tuple[Batch, Position]] | None = None

    def restore(self, position: Position) -> None:
        """Go on from `position`. Where the data has changed since (a newer manifest, other
        weights), the rest of the old epoch is left out and the next begins, on the new data."""
        self.close()
        mine = self.position.order_sha256
        if position.samples and position.order_sha256 != mine:
            position = replace(
                position,
                order_sha256=mine,
                epoch=position.epoch + 1,
                origin_samples=position.samples,
                origin_epoch=position.epoch + 1,
            )
        self.position = replace(position, order_sha256=mine)

    def next_batch(self) -> Batch:
        """This rank's slice of the next global batch.

        Raises:
            FileNotFoundError, ValueError: a shard is missing, damaged or does not fit; at the
                batch that needs it.
            OSError: a store fails again and again.
            TimeoutError: no batch has come within the corpus's `reading.timeout_s`.
        """
        if self._background is None:
            first = self.corpora.members[0]
            self._background = Background(
                self._batches(self.position),
                QUEUED_BATCHES,
                first.reading.timeout_s,
                self._say_where,
            )
        batch, self.position = self._background.get()
        return batch

    def close(self) -> None:
        """Stop reading ahead; the next batch starts it again."""
        if self._background is not None:
            self._background.close()
            self._background = None

    def shared_group_chance(self) -> float:
        """The probability that two pairs of a batch share a row group (of the first corpus)."""
        return order.shared_group_chance(self.groups[0])

    def _batches(self, position: Position) -> Iterator[tuple[Batch, Position]]:
        local = self.batch_size // self.world_size
        streams = [
            PairStream(corpus, groups, self.seed, *place, recaptioner)
            for corpus, groups, place, recaptioner in zip(
                self.corpora.members,
                self.groups,
                self._places(position),
                self._recaptioners,
                strict=True,
            )
        ]
        while True:
            batch = empty_batch(self.corpora.layout, local)
            for stream, places in zip(streams, self._shares(position), strict=True):
                stream.fill(batch, places)
            position = self._after(position)
            yield batch, position

    def _places(self, position: Position) -> list[tuple[int, int]]:
        """Each corpus's epoch, and the rows of it that are used up."""
        used = self.mixing.used(position.samples - position.origin_samples)
        parts = [divmod(int(count), rows) for count, rows in zip(used, self._rows, strict=True)]
        return [(position.origin_epoch + epoch, row) for epoch, row in parts]

    def _shares(self, position: Position) -> list[Places]:
        """Where in this rank's slice each corpus's pairs of the next global batch stand."""
        first = -self.rank * (self.batch_size // self.world_size)
        if len(self._rows) == 1:
            return [range(first, first + self.batch_size)]
        start = position.samples - position.origin_samples
        choices = self.mixing.choices(start, self.batch_size)
        return [np.flatnonzero(choices == number) + first for number in range(len(self._rows))]

    def _after(self, position: Position) -> Position:
        samples = position.samples + self.batch_size
        used = self.mixing.used(samples - position.origin_samples)
        epochs = [
            max(0, int(count) - 1) // rows for count, rows in zip(used, self._rows, strict=True)
        ]
        return replace(position, samples=samples, epoch=position.origin_epoch + max(epochs))

    def _order_sha256(self) -> str:
        files = [
            [
                entry.sha256
                for view in range(corpus.num_views)
                for entry in corpus.files("train", view)
            ]
            for corpus in self.corpora.members
        ]
        decides = (files, self.mixing.quotas, self.seed, order.WINDOW_GROUPS)
        return hashlib.sha256(repr(decides).encode()).hexdigest()

    def _say_where(self) -> str:
        return ", ".join(last for corpus in self.corpora.members if (last := corpus.source.last))
