"""How the values of each signal that a rule reads are spread, and where the rule cuts them.

Which number of a rule cuts which signal is not told by names: the rule, its other numbers out of
the way, is asked about values just below the number, at it and just above. Where its answer
changes, it cuts there.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.filter import Filter
from pipelines.report.positions import Mask
from pipelines.report.sample import Sample
from pipelines.report.whatif import bounded_numbers, find_lenient

BINS = 48
"""Of a histogram over numbers."""
SHOWN_VALUES = 8
"""Of texts: the most frequent ones; the others are counted together."""
OTHERS = "others"
TAIL = 0.005
"""Share of the values at each end that may lie beyond the scale and are counted in its last bin."""
LOG_SPAN = 50
"""A scale on which the largest value is so many times the smallest is logarithmic."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where a rule cuts a signal."""

    rule: str
    field: str
    value: float
    offset: float
    """Of whole numbers: half a number towards what the rule treats otherwise."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """One signal of the sampled rows, kept and dropped told apart."""

    signal: str
    rules: tuple[str, ...]
    """That read it, in the recipe's order."""
    scale: str
    """"linear", "log", or "values" for texts and claims."""
    edges: tuple[float, ...]
    """Of the bins, ascending, one more than there are bins; the first and the last bin also hold
    what lies beyond. Empty where the scale is "values"."""
    labels: tuple[str, ...]
    """Of the bins where the scale is "values"."""
    kept: tuple[int, ...]
    dropped_here: tuple[int, ...]
    """Rows that one of these rules would drop."""
    dropped_elsewhere: tuple[int, ...]
    """Rows that were dropped, and by none of these rules."""
    missing: int
    """Rows that have no value."""
    thresholds: tuple[Threshold, ...]

    @property
    def is_whole(self) -> bool:
        """Its values are whole numbers, and edges lie between two."""
        return bool(self.edges) and all(edge % 1 == 0.5 for edge in self.edges)

    def place(self, value: float) -> float:
        """Where a value stands from 0 to 1, on a scale on which all bins are of one width."""
        return float(np.interp(value, self.edges, np.linspace(0, 1, len(self.edges))))


def measure_distributions(
    sample: Sample, rules: Sequence[Filter], kept: str
) -> tuple[Distribution, ...]:
    """One of each stored signal that a rule reads, in the order in which rules read them."""
    readers: dict[str, list[Filter]] = {}
    for rule in rules:
        if set(rule.signals) <= set(sample.columns):
            for name in rule.signals:
                readers.setdefault(name, []).append(rule)
    return tuple(
        measure_distribution(sample, name, reading, kept) for name, reading in readers.items()
    )


def measure_distribution(
    sample: Sample, name: str, rules: Sequence[Filter], kept: str
) -> Distribution:
    column = sample.signals[name]
    thresholds = tuple(cut for rule in rules for cut in find_thresholds(sample.signals, name, rule))
    if not _is_number(column.type):
        scale, edges, labels, bins = _bin_values(column)
    else:
        scale, edges, labels, bins = _bin_numbers(column, [cut.value for cut in thresholds])
    there = bins >= 0
    survives = np.asarray(sample.reasons == kept, bool)
    here = np.any([rule(sample.signals) for rule in rules], axis=0) & ~survives
    size = len(labels) or len(edges) - 1

    def count(mask: Mask) -> tuple[int, ...]:
        return tuple(np.bincount(bins[there & mask], minlength=size).tolist())

    return Distribution(
        signal=name,
        rules=tuple(rule.reason for rule in rules),
        scale=scale,
        edges=edges,
        labels=labels,
        kept=count(survives),
        dropped_here=count(here),
        dropped_elsewhere=count(~here & ~survives),
        missing=int(np.count_nonzero(~there)),
        thresholds=thresholds,
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def find_thresholds(signals: pa.RecordBatch, name: str, rule: Filter) -> Iterator[Threshold]:
    """The numbers of a rule at which it changes its mind about a signal."""
    kind = signals.schema.field(name).type
    if not _is_number(kind) or not len(signals):
        return
    bounds = bounded_numbers(rule)
    lenient = find_lenient(signals, rule, bounds)
    for field in bounds:
        try:
            alone = replace(lenient, **{field: getattr(rule, field)})
        except ValueError:  # no row tells which way is lenient, and a least is above its most
            continue
        value = float(getattr(rule, field))
        step = 1.0 if pa.types.is_integer(kind) else max(abs(value), 1.0) * 1e-3
        below, at, above = (
            _ask_with(signals, name, alone, probe) for probe in (value - step, value, value + step)
        )
        half = step / 2 if pa.types.is_integer(kind) else 0.0
        if _differ(below, at):
            yield Threshold(rule.reason, field, value, -half)
        elif _differ(at, above):
            yield Threshold(rule.reason, field, value, half)


def _differ(one: Mask | None, other: Mask | None) -> bool:
    return one is not None and other is not None and not np.array_equal(one, other)


def _ask_with(signals: pa.RecordBatch, name: str, rule: Filter, value: float) -> Mask | None:
    """What the rule drops where every row has the value; None where the column cannot hold it."""
    kind = signals.schema.field(name).type
    try:
        column = pa.repeat(pa.scalar(value).cast(kind), len(signals))
    except pa.ArrowInvalid:
        return None
    columns = [column if field == name else signals[field] for field in signals.schema.names]
    return np.asarray(rule(pa.record_batch(columns, schema=signals.schema)), bool)


Bins = tuple[str, tuple[float, ...], tuple[str, ...], npt.NDArray[np.int64]]
"""Scale, edges, labels and each row's bin, -1 where it has no value."""


def _bin_values(column: pa.Array) -> Bins:
    values = ["" if value is None else str(value).lower() for value in column.to_pylist()]
    counts: dict[str, int] = {}
    for value in filter(None, values):
        counts[value] = counts.get(value, 0) + 1
    shown = sorted(counts, key=lambda value: (-counts[value], value))[:SHOWN_VALUES]
    labels = (*shown, OTHERS) if len(counts) > len(shown) else tuple(shown)
    numbers = {value: number for number, value in enumerate(shown)}
    bins = [numbers.get(value, len(shown)) if value else -1 for value in values]
    return "values", (), labels, np.array(bins, np.int64)


def _bin_numbers(column: pa.Array, cuts: Sequence[float]) -> Bins:
    values = column.cast(pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False)
    there = np.isfinite(values)
    scale, edges = choose_edges(values[there], cuts, pa.types.is_integer(column.type))
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return scale, tuple(edges.tolist()), (), np.where(there, bins, -1)


def choose_edges(
    values: npt.NDArray[np.float64], cuts: Sequence[float], whole: bool
) -> tuple[str, npt.NDArray[Any]]:
    """A scale that shows all but the tails of the values, and every cut."""
    shown = [*(np.quantile(values, [TAIL, 1 - TAIL]) if len(values) else ()), *cuts]
    low, high = (min(shown), max(shown)) if shown else (0.0, 1.0)
    if low == high or (whole and high - low < BINS):
        low, high = math.floor(low) - 0.5, math.ceil(high) + 0.5
        return "linear", np.linspace(low, high, round(high - low) + 1)
    log = low > 0 and high / low > LOG_SPAN
    edges = (np.geomspace if log else np.linspace)(low, high, BINS + 1)
    if whole:
        edges = np.unique(np.floor([*edges, high + 1])) - 0.5
    return "log" if log else "linear", edges.round(6)
