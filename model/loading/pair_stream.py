"""One corpus as a stream of pairs without end, from any place in its order."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from model.loading.batch import Batch
from model.loading.corpus import TokenCorpus
from model.loading.order import RowGroup, Stretch, largest_window, stretches
from model.loading.prefetch import prefetch
from model.loading.recaption import Recaptioner
from model.loading.shard_reader import GroupRequest
from model.loading.window_rows import WindowRows

Places = range | npt.NDArray[np.int64]
"""Rows of a batch, ascending."""


class PairStream:
    """Hands out the pairs of the training split, epoch after epoch."""

    def __init__(
        self,
        corpus: TokenCorpus,
        groups: tuple[RowGroup, ...],
        seed: int,
        epoch: int,
        used: int,
        recaptioner: Recaptioner | None = None,
    ) -> None:
        """
        Args:
            used: rows of `epoch` that have been handed out before.
        """
        self._corpus, self._groups, self._recaptioner = corpus, groups, recaptioner
        self._start = seed, epoch, used
        self._rows = WindowRows(corpus.layout, largest_window(groups))
        self._windows = self._load_windows()
        self._order = np.empty(0, np.int64)
        self._epoch = epoch

    def fill(self, batch: Batch, places: Places) -> None:
        """Put the next pairs at `places` of a batch; those outside it are other ranks'."""
        while len(places):
            if not len(self._order):
                self._epoch, self._order = next(self._windows)
            index, self._order = self._order[: len(places)], self._order[len(places) :]
            self._copy(batch, places[: len(index)], index)
            places = places[len(index) :]

    def _copy(self, batch: Batch, places: Places, index: npt.NDArray[np.int64]) -> None:
        first, last = _inside(places, len(batch))
        if first >= last:
            return
        index, places = index[first:last], places[first:last]
        to = slice(places.start, places.stop) if isinstance(places, range) else places
        self._rows.copy(index, batch, to)
        if self._recaptioner is not None:
            pair_ids = self._rows.pair_ids(index)
            batch.text[to] = self._recaptioner(self._rows.captions(index), pair_ids, self._epoch)

    def _load_windows(self) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        """Each window's epoch and what is left of its order, its rows loaded."""
        reader = self._corpus.reader(captions=self._recaptioner is not None)
        waits = self._corpus.source.waits(self._corpus.folder)
        depth = self._corpus.reading.prefetch_groups if waits else 0
        raw = prefetch(reader.fetch, self._requests(), depth)
        rows = map(reader.decode, raw)
        for stretch in self._stretches():
            self._rows.load(stretch.window.groups, rows)
            yield stretch.epoch, stretch.window.order[stretch.first :]

    def _stretches(self) -> Iterator[Stretch]:
        return stretches(self._groups, *self._start)

    def _requests(self) -> Iterator[GroupRequest]:
        for stretch in self._stretches():
            view = stretch.epoch % self._corpus.num_views
            files = self._corpus.files("train", view)
            for group in stretch.window.groups:
                yield GroupRequest(files[group.file], view, group)


def _inside(places: Places, rows: int) -> tuple[int, int]:
    """The first of `places` that lies in [0, rows), and the one after the last."""
    if isinstance(places, range):
        return min(max(0, -places.start), len(places)), max(
            0, min(len(places), rows - places.start)
        )
    first, last = np.searchsorted(places, (0, rows))
    return int(first), int(last)
