"""Select: each pair is kept, or dropped for one reason; the kept ones are split in two.

Rules stand in the recipe's order, and the first that drops a row gives the reason. What had
already ended elsewhere (a failed fetch, a pair that stood in an earlier row) keeps that
reason, and no rule is charged with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.filter import Filter
from pipelines import join, progress
from pipelines.commit import (
    Output,
    Written,
    commit_file,
    commit_table,
    hash_entries,
    make_key,
    unit_output,
)
from pipelines.corpus import Build
from pipelines.join import Keys
from pipelines.ledger import DUPLICATE_PAIR, OK, REASONS, count_outcomes
from pipelines.publishing import Generation, PublishFiles
from pipelines.recipe_sections import SelectSection
from pipelines.steps import Job, Step, Stopwatch
from tokens.draw import keyed_uniform
from tokens.manifest import KEPT, FileEntry, Manifest, read_table

TRAIN, VALIDATION = "train", "val"

PACKAGES = ("numpy", "pyarrow", "xxhash")


def apply_rules(signals: pa.Table, outcomes: pa.Array, rules: Sequence[Filter]) -> pa.Array:
    """Why each row is dropped, or `kept`.

    Args:
        signals: the columns that the rules read.
        outcomes: per row `ok`, or the reason for which it has ended already.
    """
    batch = _one_batch(signals)
    reasons = np.array(outcomes.to_pylist(), object)
    undecided = reasons == OK
    for rule in rules:
        dropped = undecided & rule(batch)
        reasons[dropped] = rule.reason
        undecided &= ~dropped
    reasons[undecided] = KEPT
    return pa.array(reasons, pa.string())


def assign_split(keys: pa.Array, validation_share: float, seed: int) -> pa.Array:
    """`val` for about the given share of the distinct keys, `train` for the others.

    Args:
        keys: what must not straddle the split, 16 bytes of pixel hash or a uint64 perceptual
            hash per row; a null key has no split.
    """
    return pa.array(
        [
            None if key is None else _split_of(key, validation_share, seed)
            for key in keys.to_pylist()
        ],
        pa.string(),
    )


def later_rows(keys: Keys) -> npt.NDArray[np.bool_]:
    """True for each row whose pair another row stands for.

    Of rows with one key the keeper is the first in input order that was fetched, or the first
    of all where none was. `keys` may be in any order, and `flag` is 1 for a fetched row.
    """
    order = np.lexsort((keys["row"], keys["unit"], keys["flag"] == 0, keys["low"], keys["high"]))
    halves = keys[["high", "low"]][order]
    later = np.zeros(len(keys), bool)
    later[order[1:]] = halves[1:] == halves[:-1]
    return later


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    """All rows of a table, of which there may be none."""
    return pa.record_batch(
        [column.combine_chunks() for column in table.columns], schema=table.schema
    )


def _split_of(key: bytes | int | None, validation_share: float, seed: int) -> str | None:
    if key is None:
        return None
    digits = key if isinstance(key, bytes) else key.to_bytes(8, "little")
    return VALIDATION if keyed_uniform(digits, "split", seed) < validation_share else TRAIN


@dataclass(frozen=True, slots=True)
class SignalUnit:
    """A unit's pairs and signals: committed files of two stages."""

    pairs: FileEntry
    signals: FileEntry

    @property
    def index(self) -> int:
        return self.pairs.index


@dataclass(frozen=True, slots=True)
class ScatterUnit:
    """One unit's pair ids, scattered into buckets; the flag says that the picture is there."""

    pairs_folder: str
    folder: str
    buckets: int

    def output(self, item: FileEntry) -> Output:
        key = make_key("scatter", str(self.buckets), item.sha256)
        return Output(join.join_folder(self.folder), f"keys-{item.index:05d}-{key}.bin")

    def rows(self, item: FileEntry) -> int:
        return item.rows

    def __call__(self, item: FileEntry) -> None:
        pairs = read_table(self.pairs_folder, item, ("pair_id", "outcome"))
        fetched = pc.equal(pairs["outcome"], OK).to_numpy().astype(np.uint8)
        keys = join.make_keys(pairs["pair_id"].combine_chunks(), item.index, fetched)
        commit_file(
            self.output(item),
            lambda sink: join.scatter(sink, keys, self.buckets),
            Written(len(keys)),
        )
        progress.advance(item.rows)


@dataclass(frozen=True, slots=True)
class FindDuplicates:
    """One bucket's rows whose pair another row stands for, told to their units."""

    folder: str
    keys: tuple[Output, ...]

    def output(self, item: int) -> Output:
        key = make_key("duplicates", *(output.name for output in self.keys))
        return Output(join.join_folder(self.folder), f"later-{item:05d}-{key}.bin")

    def rows(self, item: int) -> int:
        return 1

    def __call__(self, item: int) -> None:
        keys = join.gather(self.keys, item)
        later = keys[later_rows(keys)]
        commit_file(
            self.output(item),
            lambda sink: join.write_answers(sink, later, units=len(self.keys)),
            Written(len(later)),
        )
        progress.advance(1)


@dataclass(frozen=True, slots=True)
class DecideUnit:
    """One unit's decisions: a reason and a split per row."""

    pairs_folder: str
    signals_folder: str
    folder: str
    section: SelectSection
    section_sha256: str
    duplicates: tuple[Output, ...]

    def output(self, item: SignalUnit) -> Output:
        files = (item.pairs.sha256, item.signals.sha256, *(o.name for o in self.duplicates))
        return unit_output(self.folder, item.index, self.section_sha256, *files)

    def rows(self, item: SignalUnit) -> int:
        return item.pairs.rows

    def __call__(self, item: SignalUnit) -> None:
        watch = Stopwatch()
        pairs = read_table(self.pairs_folder, item.pairs, ("pair_id", "outcome", "pixel_hash"))
        signals = read_table(self.signals_folder, item.signals)
        decisions = self._decide(pairs, signals, join.read_answers(self.duplicates, item.index))
        written = Written(
            len(decisions),
            count_outcomes(decisions["reason"]),
            count_outcomes(decisions["split"].drop_null()),
            {"seconds": watch.seconds()},
        )
        commit_table(self.output(item), decisions, written)
        progress.advance(len(decisions))

    def _decide(
        self, pairs: pa.Table, signals: pa.Table, later: npt.NDArray[np.uint32]
    ) -> pa.Table:
        outcomes = np.array(pairs["outcome"].to_pylist(), object)
        outcomes[later[outcomes[later] == OK]] = DUPLICATE_PAIR
        reasons = apply_rules(signals, pa.array(outcomes, pa.string()), self.section.rules)
        source = pairs if self.section.split_by == "pixel_hash" else signals
        splits = assign_split(
            source[self.section.split_by], self.section.validation_share, self.section.seed
        )
        kept = pc.equal(reasons, KEPT)
        return pa.table(
            {
                "pair_id": pairs["pair_id"],
                "reason": reasons,
                "split": pc.if_else(kept, splits, pa.scalar(None, pa.string())),
            }
        )


def plan_select(build: Build, done: Mapping[str, Manifest]) -> Job:
    """The select stage: find pairs that stand twice, then decide each unit."""
    pairs, signals = done["fetch"], done["score"]
    generation = Generation(
        stage="select",
        folder=build.folder("select"),
        recipe=build.recipe.to_dict(),
        section_sha256=build.recipe.section_sha256("select"),
        inputs={"pairs": hash_entries(pairs.files), "signals": hash_entries(signals.files)},
        packages=PACKAGES,
    )
    scatter = ScatterUnit(build.folder("fetch"), generation.folder, join.choose_buckets(pairs.rows))
    find = FindDuplicates(generation.folder, tuple(map(scatter.output, pairs.files)))
    buckets = tuple(range(scatter.buckets))
    decide = DecideUnit(
        build.folder("fetch"),
        build.folder("score"),
        generation.folder,
        build.recipe.select,
        generation.section_sha256,
        tuple(map(find.output, buckets)),
    )
    units = tuple(
        SignalUnit(pair, signal) for pair, signal in zip(pairs.files, signals.files, strict=True)
    )
    return Job(
        (
            Step("Scatter Keys", scatter, pairs.files),
            Step("Find Duplicates", find, buckets),
            Step("Decide Rows", decide, units),
        ),
        PublishFiles(
            generation,
            tuple(map(decide.output, units)),
            {"": pairs.rows},
            REASONS,
            leftovers=(join.join_folder(generation.folder),),
        ),
    )
