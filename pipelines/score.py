"""Score: what there is to measure of every fetched pair, one column per signal.

Nothing is decided here. Signals are columns, so that another threshold tomorrow costs no
second look at a picture.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.signals import SIGNAL_TYPES, SIGNALS
from filters.signals.signal import BATCH_PICTURES, Model, Signal
from pipelines import progress
from pipelines.commit import (
    Output,
    Written,
    commit_table,
    hash_entries,
    make_digest,
    unit_output,
)
from pipelines.corpus import Build
from pipelines.dead_letters import check_faults
from pipelines.pairs import OF_BODY
from pipelines.publishing import Generation, PublishFiles
from pipelines.recipe_sections import ScoreSection
from pipelines.score_faults import FAILURE, score_each
from pipelines.steps import Job, Step, Stopwatch
from tokens.manifest import FileEntry, Manifest, read_table
from tokens.pixels import read_stored

PAIR_COLUMNS = ("pair_id", "caption", "image", "original_width", "original_height", *OF_BODY)
"""What `score_pairs` reads of a unit's pairs."""

Pixels = npt.NDArray[np.uint8]

PACKAGES = ("cld3-py", "numpy", "opencv-python-headless", "pyarrow", "pycld2", "xxhash")


def signal_schema(columns: Mapping[str, pa.DataType] = SIGNAL_TYPES) -> pa.Schema:
    """The columns of a unit's signals: `pair_id` and the named signals, in that order."""
    return pa.schema(
        [pa.field("pair_id", pa.binary(16), nullable=False)]
        + [pa.field(name, kind) for name, kind in columns.items()]
    )


@dataclass(frozen=True, slots=True)
class SignalClock:
    """How long each signal has taken."""

    seconds: dict[str, float] = field(default_factory=dict)
    """By the signal's first column."""

    def measure(self, signal: Signal, *seen: Any) -> tuple[Any, ...]:
        """What the signal says of what it needs to see."""
        start = time.perf_counter()
        measured = signal.measure(*seen)
        name = signal.columns[0][0]
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
        return measured


def score_pairs(
    pairs: pa.Table,
    columns: Mapping[str, pa.DataType] = SIGNAL_TYPES,
    signals: Sequence[Signal] = SIGNALS,
    clock: SignalClock | None = None,
) -> pa.Table:
    """Measure a unit's pairs; row i of the answer is row i of `pairs`.

    A signal is null where the pair lacks what it looks at: the caption or the picture. Each
    picture is decoded once, and no more than a batch of them is held at a time.
    """
    clock = clock or SignalClock()
    wanted = [signal for signal in signals if any(name in columns for name, _ in signal.columns)]
    measured = {
        **_measure_captions(pairs["caption"].combine_chunks(), wanted, clock),
        **_measure_pairs(pairs, wanted, clock),
        **_measure_pictures(pairs, wanted, clock),
    }
    filled = [pairs["pair_id"]] + [measured[name] for name in columns]
    return pa.table(filled, schema=signal_schema(columns))


def _measure_captions(
    captions: pa.Array, signals: Sequence[Signal], clock: SignalClock
) -> dict[str, pa.Array]:
    present = captions.is_valid().to_numpy(zero_copy_only=False)
    texts = captions.drop_null()
    measured = {}
    for signal in _needing(signals, "caption"):
        for (name, _), column in zip(signal.columns, clock.measure(signal, texts), strict=True):
            measured[name] = _spread(column, present)
    return measured


def _measure_pairs(
    pairs: pa.Table, signals: Sequence[Signal], clock: SignalClock
) -> dict[str, pa.Array]:
    measured = {}
    for signal in _needing(signals, "pair"):
        for (name, _), column in zip(signal.columns, clock.measure(signal, pairs), strict=True):
            measured[name] = column
    return measured


def _measure_pictures(
    pairs: pa.Table, signals: Sequence[Signal], clock: SignalClock
) -> dict[str, pa.Array]:
    single, batched = _needing(signals, "pixels"), _needing(signals, "pictures")
    if not single and not batched:
        return {}
    present = pairs["image"].is_valid().to_numpy()
    complete = present & pairs["caption"].is_valid().to_numpy()
    kinds = [column for signal in (*single, *batched) for column in signal.columns]
    values: dict[str, list[Any]] = {name: [] for name, _ in kinds}
    for captions, pictures in _read_batches(pairs.filter(pairs["image"].is_valid())):
        for picture in pictures:
            for signal in single:
                _extend(values, signal, [[value] for value in clock.measure(signal, picture)])
        whole = [pair for pair in zip(captions, pictures, strict=True) if pair[0] is not None]
        for signal in batched if whole else ():
            _extend(values, signal, clock.measure(signal, *map(list, zip(*whole, strict=True))))
    of_both = {name for signal in batched for name, _ in signal.columns}
    return {
        name: _spread(_join(values[name], kind), complete if name in of_both else present)
        for name, kind in kinds
    }


def _read_batches(pairs: pa.Table) -> Iterator[tuple[list[str | None], list[Pixels]]]:
    """Captions and decoded pictures, a batch at a time, cut by their place in the unit alone."""
    for start in range(0, len(pairs), BATCH_PICTURES):
        batch = pairs.slice(start, BATCH_PICTURES)
        pictures = [read_stored(image.as_py()) for image in batch["image"]]
        yield batch["caption"].to_pylist(), pictures


def _extend(values: dict[str, list[Any]], signal: Signal, columns: Iterable[Any]) -> None:
    for (name, _), column in zip(signal.columns, columns, strict=True):
        values[name].append(column)


def _join(parts: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Lists and arrays, one after another, as one array."""
    if not parts:
        return pa.nulls(0, kind)
    return pa.concat_arrays([pa.array(part, kind) for part in parts])


def _needing(signals: Sequence[Signal], needs: str) -> list[Signal]:
    return [signal for signal in signals if signal.needs == needs]


def _spread(column: pa.Array, present: npt.NDArray[np.bool_]) -> pa.Array:
    """The column's values at the rows that are present, null at the others."""
    return column.take(pa.array(np.cumsum(present) - 1, mask=~present))


@dataclass(frozen=True, slots=True)
class ScoreUnit:
    """One unit of pairs into one unit of signals."""

    pairs_folder: str
    folder: str
    section_sha256: str
    section: ScoreSection
    models: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What the section's models were found to be when the build was settled."""

    def output(self, item: FileEntry) -> Output:
        return unit_output(self.folder, item.index, self.section_sha256, item.sha256)

    def rows(self, item: FileEntry) -> int:
        return item.rows

    def __call__(self, item: FileEntry) -> None:
        watch, clock = Stopwatch(), SignalClock()
        pairs = read_table(self.pairs_folder, item, PAIR_COLUMNS)
        models = self.section.models.items()
        loaded = [load(name, model, tuple(self.models[name].items())) for name, model in models]
        columns, measure = self.section.columns, (*SIGNALS, *loaded)
        signals = score_each(
            pairs,
            lambda rows: score_pairs(rows, columns, measure, clock),
            signal_schema(columns),
        )
        if FAILURE in signals.column_names:
            check_faults(signals[FAILURE].drop_null().to_pylist(), len(signals))
        spent = {name: round(seconds, 3) for name, seconds in clock.seconds.items()}
        side = {"seconds": watch.seconds(), "signals": spent}
        commit_table(self.output(item), signals, Written(len(signals), side=side))
        progress.advance(item.rows)


@cache
def load(name: str, model: Model, settled: tuple[tuple[str, str], ...]) -> Signal:
    """A model's signal, loaded once in a process.

    Raises:
        ValueError: it is not here what it was when the build was settled, elsewhere perhaps.
    """
    found, expected = model.find(), dict(settled)
    for key in sorted(found.keys() | expected.keys()):
        if found.get(key) != expected.get(key):
            raise ValueError(
                f"[score.{name}]: {key} is {found.get(key)!r} in this worker and was "
                f"{expected.get(key)!r} when the build began; every worker must compute alike"
            )
    return model.load()


def plan_score(build: Build, done: Mapping[str, Manifest]) -> Job:
    """The score stage: one step, a unit of signals for each unit of pairs."""
    pairs = done["fetch"]
    generation = Generation(
        stage="score",
        folder=build.folder("score"),
        recipe=build.recipe.to_dict(),
        section_sha256=make_digest(build.recipe.section_sha256("score"), str(build.models)),
        inputs={"pairs": hash_entries(pairs.files)},
        details={"models": build.models} if build.models else {},
        packages=PACKAGES,
    )
    work = ScoreUnit(
        build.folder("fetch"),
        generation.folder,
        generation.section_sha256,
        build.recipe.score,
        build.models,
    )
    return Job(
        (Step("Score Pairs", work, pairs.files),),
        PublishFiles(generation, tuple(map(work.output, pairs.files)), {"": pairs.rows}),
    )
