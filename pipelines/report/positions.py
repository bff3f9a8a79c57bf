"""The positions of a threshold's slider: round numbers, close together where rows change sides.

A limit such as `min_side_px` may be anything from 1 to 100,000, and all that matters happens
between 60 and 900. So the span is halved, and halved again, always where most rows of the sample
flip. No position is placed where none does.
"""

import heapq
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Number = int | float

MAX_POSITIONS = 127
"""Seven bits tell at which a row flips, or that it never does."""
SIGNIFICANT_DIGITS = 3


def place_positions(
    least: Number, value: Number, most: Number, drops: Callable[[Number], Mask]
) -> dict[Number, Mask]:
    """At most MAX_POSITIONS values from `least` to `most`, ascending, each with what it drops.

    The first, the last and `value` are among them.
    """
    found = {at: drops(at) for at in sorted({least, value, most})}
    ends = list(found)
    gaps = [_gap(found, low, high) for low, high in zip(ends, ends[1:], strict=False)]
    heapq.heapify(gaps)
    while gaps and len(found) < MAX_POSITIONS:
        flips, low, high = heapq.heappop(gaps)
        middle = round_between(low, high)
        if not flips or middle is None:
            continue
        found[middle] = drops(middle)
        heapq.heappush(gaps, _gap(found, low, middle))
        heapq.heappush(gaps, _gap(found, middle, high))
    return dict(sorted(found.items()))


def _gap(found: dict[Number, Mask], low: Number, high: Number) -> tuple[int, Number, Number]:
    """A gap behind how many rows flip in it, most first."""
    return -int(np.count_nonzero(found[low] != found[high])), low, high


def round_between(low: Number, high: Number) -> Number | None:
    """The number with the fewest digits near the middle of two, as whole as they are.

    None where there is none between them with SIGNIFICANT_DIGITS digits or fewer.
    """
    middle, margin = (low + high) / 2, (high - low) / 4
    whole = isinstance(low, int) and isinstance(high, int)
    top = math.floor(math.log10(max(abs(low), abs(high))))
    for digits in range(SIGNIFICANT_DIGITS):
        step = top - digits
        if whole and step < 0:
            break
        rounded = _round_to(middle, step, whole)
        if abs(rounded - middle) <= margin and low < rounded < high:
            return rounded
    return _middle_of(low, high) if whole else None


def _round_to(number: float, power: int, whole: bool) -> Number:
    """To a multiple of 10 ** power, and to the float nearest to what its digits say."""
    return round(round(number), -power) if whole else round(number, -power)


def _middle_of(low: Number, high: Number) -> Number | None:
    middle = int(low + high) // 2
    return middle if low < middle < high else None
