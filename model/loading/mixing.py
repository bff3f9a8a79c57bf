"""Which corpus a sample comes from: a function of (seed, number of the sample) alone.

The samples of a run are cut into blocks of 10,000. A block holds a fixed number of samples of
each corpus, in an order drawn for the block. So a mixture is exact over every block, and how many
samples of a corpus stand before sample n is found without looking at them one by one.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tokens.draw import keyed_generator

BLOCK_SAMPLES = 10_000
"""A weight counts in steps of 1 / 10,000."""


class Mixing:
    """The interleaving of several corpora, each taken by its weight."""

    def __init__(self, weights: Sequence[float], seed: int) -> None:
        """
        Args:
            weights: one per corpus, above 0; only their ratios count.

        Raises:
            ValueError: a weight that is none, or so small that a block has no room for it.
        """
        self.quotas = _quotas(weights)
        self._seed = seed
        self._block = -1
        self._order = np.empty(0, np.int64)

    def used(self, samples: int) -> npt.NDArray[np.int64]:
        """How many of the first `samples` samples are each corpus's."""
        if len(self.quotas) == 1:
            return np.array([samples])
        blocks, rest = divmod(samples, BLOCK_SAMPLES)
        counts = np.array(self.quotas, np.int64) * blocks
        if rest:
            counts += np.bincount(self._order_of(blocks)[:rest], minlength=len(self.quotas))
        return counts

    def choices(self, start: int, count: int) -> npt.NDArray[np.int64]:
        """The corpus, by its number, of each of the samples from `start` on, shape [count]."""
        if len(self.quotas) == 1:
            return np.zeros(count, np.int64)
        return np.concatenate(list(self._parts(start, start + count)))

    def _parts(self, start: int, end: int) -> Iterator[npt.NDArray[np.int64]]:
        while start < end:
            block, first = divmod(start, BLOCK_SAMPLES)
            part = self._order_of(block)[first : first + end - start]
            yield part
            start += len(part)

    def _order_of(self, block: int) -> npt.NDArray[np.int64]:
        if block != self._block:
            corpora = np.repeat(np.arange(len(self.quotas)), self.quotas)
            key = f"block {block}".encode()
            self._order = keyed_generator(key, "mixing", self._seed).permutation(corpora)
            self._block = block
        return self._order


def _quotas(weights: Sequence[float]) -> tuple[int, ...]:
    """Samples of each corpus in a block: rounded down, the rest to the largest remainders."""
    shares = np.array(weights, np.float64)
    if not len(shares) or not np.isfinite(shares).all() or (shares <= 0).any():
        raise ValueError(f"weights {list(weights)}: each must be a number above 0")
    exact = shares / shares.sum() * BLOCK_SAMPLES
    quotas = np.floor(exact + 1e-6).astype(np.int64)
    rest = BLOCK_SAMPLES - int(quotas.sum())
    quotas[np.argsort(quotas - exact, kind="stable")[:rest]] += 1
    if (quotas == 0).any():
        raise ValueError(
            f"weights {list(weights)}: one is less than 1 / {BLOCK_SAMPLES:,} of all; "
            "leave that corpus out"
        )
    return tuple(map(int, quotas))
