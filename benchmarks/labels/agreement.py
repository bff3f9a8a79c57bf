"""How well a rule's answers agree with labels: precision and recall, with their intervals.

Rows have equal chances, so that shares and Wilson's interval do. Pairs were drawn by strata: each
stands for as many as its stratum holds for each one drawn, and the interval is a bootstrap's,
drawn anew within the strata.
"""

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

NORMAL_95 = 1.959964
RESAMPLES = 1_000
SEED = 0


@dataclass(frozen=True, slots=True)
class Share:
    """A share and the 95 % interval round it; not a number where there is nothing to share."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isnan(self.value):
            return "none"
        return f"{self.value:.2f} ({self.low:.2f}-{self.high:.2f})"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of what was flagged, the share that is right; of what is right, the share flagged."""

    flagged: int
    """Items of the sample that were flagged."""
    labelled: int
    """Items of the sample that should be."""
    both: int
    precision: Share
    recall: Share


def wilson(hits: int, total: int) -> Share:
    """Wilson's score interval of a share out of independent draws."""
    if not total:
        return Share(nan, nan, nan)
    share, square = hits / total, NORMAL_95**2 / total
    centre = (share + square / 2) / (1 + square)
    half = NORMAL_95 / (1 + square) * sqrt(share * (1 - share) / total + square / total / 4)
    return Share(share, max(0.0, centre - half), min(1.0, centre + half))


def compare_rows(flagged: Bools, labelled: Bools) -> Agreement:
    """Agreement over rows that were drawn with equal chances."""
    both = int((flagged & labelled).sum())
    flags, labels = int(flagged.sum()), int(labelled.sum())
    return Agreement(flags, labels, both, wilson(both, flags), wilson(both, labels))


def compare_pairs(
    flagged: Bools, labelled: Bools, strata: npt.NDArray[np.int64], sizes: dict[int, int]
) -> Agreement:
    """Agreement over items drawn by strata, for all that the strata hold.

    Args:
        strata: the stratum of each item.
        sizes: how many items each stratum holds, drawn or not.
    """
    weights = weigh(strata, sizes)
    generator = np.random.default_rng(SEED)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    drawn = [
        np.concatenate([generator.choice(items, len(items)) for items in members])
        for _ in range(RESAMPLES)
    ]
    both = flagged & labelled
    return Agreement(
        int(flagged.sum()),
        int(labelled.sum()),
        int(both.sum()),
        _bootstrap(both, flagged, weights, drawn),
        _bootstrap(both, labelled, weights, drawn),
    )


def weigh(strata: npt.NDArray[np.int64], sizes: dict[int, int]) -> Floats:
    """How many items each drawn one stands for."""
    drawn = {int(stratum): int((strata == stratum).sum()) for stratum in np.unique(strata)}
    return np.array([sizes[int(stratum)] / drawn[int(stratum)] for stratum in strata])


def _bootstrap(part: Bools, whole: Bools, weights: Floats, drawn: list[np.ndarray]) -> Share:
    """The weighted share of `part` in `whole`, and the middle 95 % of what the draws give."""
    value = _share(part, whole, weights)
    if np.isnan(value):
        return Share(nan, nan, nan)
    shares = np.array([_share(part[items], whole[items], weights[items]) for items in drawn])
    low, high = np.nanquantile(shares, [0.025, 0.975])
    return Share(value, float(low), float(high))


def _share(part: Bools, whole: Bools, weights: Floats) -> float:
    total = float(weights[whole].sum())
    return float(weights[part].sum()) / total if total else nan
