"""Score: what there is to measure of every fetched pair, one column per signal.

Nothing is decided here. Signals are columns, so that another threshold tomorrow costs no
second look at a picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.signals import SIGNAL_TYPES, SIGNALS
from filters.signals.signal import Signal
from pipelines import progress
from pipelines.commit import Output, Written, commit_table, hash_entries, unit_output
from pipelines.corpus import Build
from pipelines.publishing import Generation, PublishFiles
from pipelines.steps import Job, Step, Stopwatch
from tokens.manifest import FileEntry, Manifest, read_table
from tokens.pixels import read_stored

PAIR_COLUMNS = ("pair_id", "caption", "image", "original_width", "original_height")
"""What `score_pairs` reads of a unit's pairs."""

PACKAGES = ("cld3-py", "numpy", "opencv-python-headless", "pyarrow", "pycld2", "xxhash")


def signal_schema(names: Sequence[str] = tuple(SIGNAL_TYPES)) -> pa.Schema:
    """The columns of a unit's signals: `pair_id` and the named signals, in that order."""
    return pa.schema(
        [pa.field("pair_id", pa.binary(16), nullable=False)]
        + [pa.field(name, SIGNAL_TYPES[name]) for name in names]
    )


def score_pairs(pairs: pa.Table, names: Sequence[str] = tuple(SIGNAL_TYPES)) -> pa.Table:
    """Measure a unit's pairs; row i of the answer is row i of `pairs`.

    A signal is null where the pair lacks what it looks at: the caption or the picture. Each
    picture is decoded once, and no two are held at a time.
    """
    wanted = [signal for signal in SIGNALS if any(name in names for name, _ in signal.columns)]
    measured = {
        **_measure_captions(pairs["caption"].combine_chunks(), wanted),
        **_measure_pairs(pairs, wanted),
        **_measure_pictures(pairs["image"], wanted),
    }
    schema = signal_schema(names)
    columns = [pairs["pair_id"]] + [measured[name] for name in names]
    return pa.table(columns, schema=schema)


def _measure_captions(captions: pa.Array, signals: Sequence[Signal]) -> dict[str, pa.Array]:
    present = captions.is_valid().to_numpy(zero_copy_only=False)
    texts = captions.drop_null()
    measured = {}
    for signal in _needing(signals, "caption"):
        for (name, _), column in zip(signal.columns, signal.measure(texts), strict=True):
            measured[name] = _spread(column, present)
    return measured


def _measure_pairs(pairs: pa.Table, signals: Sequence[Signal]) -> dict[str, pa.Array]:
    measured = {}
    for signal in _needing(signals, "pair"):
        for (name, _), column in zip(signal.columns, signal.measure(pairs), strict=True):
            measured[name] = column
    return measured


def _measure_pictures(images: pa.ChunkedArray, signals: Sequence[Signal]) -> dict[str, pa.Array]:
    looking = _needing(signals, "pixels")
    columns = [column for signal in looking for column in signal.columns]
    rows: list[tuple[object, ...]] = []
    for image in images if looking else ():
        if image.is_valid:
            pixels = read_stored(image.as_py())
            rows.append(tuple(value for signal in looking for value in signal.measure(pixels)))
        else:
            rows.append((None,) * len(columns))
    return {
        name: pa.array([row[index] for row in rows], kind)
        for index, (name, kind) in enumerate(columns)
    }


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
    signals: tuple[str, ...]

    def output(self, item: FileEntry) -> Output:
        return unit_output(self.folder, item.index, self.section_sha256, item.sha256)

    def rows(self, item: FileEntry) -> int:
        return item.rows

    def __call__(self, item: FileEntry) -> None:
        watch = Stopwatch()
        pairs = read_table(self.pairs_folder, item, PAIR_COLUMNS)
        signals = score_pairs(pairs, self.signals)
        commit_table(
            self.output(item), signals, Written(len(signals), side={"seconds": watch.seconds()})
        )
        progress.advance(item.rows)


def plan_score(build: Build, done: Mapping[str, Manifest]) -> Job:
    """The score stage: one step, a unit of signals for each unit of pairs."""
    pairs = done["fetch"]
    generation = Generation(
        stage="score",
        folder=build.folder("score"),
        recipe=build.recipe.to_dict(),
        section_sha256=build.recipe.section_sha256("score"),
        inputs={"pairs": hash_entries(pairs.files)},
        packages=PACKAGES,
    )
    work = ScoreUnit(
        build.folder("fetch"),
        generation.folder,
        generation.section_sha256,
        build.recipe.score.signals,
    )
    return Job(
        (Step("Score Pairs", work, pairs.files),),
        PublishFiles(generation, tuple(map(work.output, pairs.files)), {"": pairs.rows}),
    )
