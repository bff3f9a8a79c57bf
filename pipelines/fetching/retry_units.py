"""A second fetch, unit by unit: rows with a transient outcome are asked again, in their place."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import progress
from pipelines.commit import Output, hash_entries
from pipelines.fetch import (
    MAX_OPEN_UNITS,
    PACKAGES,
    commit_pairs,
    fetch_rows,
    pairs_output,
    read_rounds,
)
from pipelines.fetching.session import FetchKit, FetchSession, OpenFetch
from pipelines.ledger import FETCH_OUTCOMES, TRANSIENT
from pipelines.pairs import BATCH_ROWS
from pipelines.publishing import Generation, PublishFiles
from pipelines.sources import EARLIER_FETCH
from pipelines.steps import Job, Session, Step, Stopwatch
from tokens.manifest import FileEntry, Manifest, read_table


@dataclass(frozen=True, slots=True)
class UnitOfBoth:
    """A unit's rows as they were asked for, and what became of them so far."""

    rows: FileEntry
    pairs: FileEntry


@dataclass(frozen=True, slots=True)
class RetryUnit:
    """One unit of pairs into its next round."""

    rows_folder: str
    folder: str
    section_sha256: str
    kit: FetchKit
    rounds: Mapping[str, int]
    max_open_items: int = MAX_OPEN_UNITS

    def output(self, item: UnitOfBoth) -> Output:
        return pairs_output(self.folder, self.section_sha256, item.rows, self.rounds)

    def rows(self, item: UnitOfBoth) -> int:
        return count_transient(item.pairs.counts)

    def open(self) -> AbstractContextManager[Session]:
        return OpenFetch(self.kit, self._fetch)

    def __call__(self, item: UnitOfBoth) -> None:
        with self.open() as session:
            session.do(item)

    def _fetch(self, item: UnitOfBoth, session: FetchSession) -> None:
        watch = Stopwatch()
        rows, pairs = read_table(self.rows_folder, item.rows), read_table(self.folder, item.pairs)
        transient = pc.is_in(pairs["outcome"], value_set=pa.array(sorted(TRANSIENT))).to_numpy()
        again = transient & may_be_asked(rows)
        fresh = fetch_rows(forget_earlier(rows.filter(pa.array(again))), session, progress.advance)
        commit_pairs(self.output(item), splice(pairs, again, fresh), watch)


def count_transient(counts: Mapping[str, int]) -> int:
    """Rows that another attempt may bring."""
    return sum(rows for outcome, rows in counts.items() if outcome in TRANSIENT)


def may_be_asked(rows: pa.Table) -> npt.NDArray[np.bool_]:
    """Whether a server can be asked for a row; a picture that is at hand may have no URL."""
    has_url = pc.fill_null(pc.match_substring(rows["url"], "://"), False)  # noqa: FBT003  # pyarrow's
    return pc.or_(rows["shard"].is_null(), has_url).to_numpy()  # type: ignore[no-any-return]


def forget_earlier(rows: pa.Table) -> pa.Table:
    """The rows without what an earlier fetch (an img2dataset folder) said of them."""
    for name in EARLIER_FETCH:
        nulls = pa.nulls(len(rows), rows.schema.field(name).type)
        rows = rows.set_column(rows.schema.get_field_index(name), name, nulls)
    return rows


def splice(pairs: pa.Table, again: npt.NDArray[np.bool_], fresh: pa.Table) -> pa.Table:
    """`pairs` with the rows where `again` holds replaced by those of `fresh`, in order."""
    places = np.where(again, len(pairs) + np.cumsum(again) - 1, np.arange(len(pairs)))
    both = pa.concat_tables([pairs, fresh])
    batches = [
        both.take(places[start : start + BATCH_ROWS])  # one take would overflow 2 GB of pictures
        for start in range(0, len(places), BATCH_ROWS)
    ]
    return pa.concat_tables(batches) if batches else pairs


def plan_retry(folders: tuple[str, str], rows: Manifest, old: Manifest, kit: FetchKit) -> Job:
    """The job that asks again; its publication is the fetch stage's next generation.

    Args:
        folders: of rows and of pairs.
        old: the current manifest of pairs.
    """
    rows_folder, folder = folders
    units = tuple(map(UnitOfBoth, rows.files, old.files))
    again = tuple(unit for unit in units if count_transient(unit.pairs.counts))
    rounds = read_rounds(old)
    rounds |= {str(unit.rows.index): rounds.get(str(unit.rows.index), 0) + 1 for unit in again}
    work = RetryUnit(rows_folder, folder, old.section_sha256, kit, rounds)
    outputs = tuple(pairs_output(folder, old.section_sha256, entry, rounds) for entry in rows.files)
    generation = Generation(
        stage="fetch",
        folder=folder,
        recipe=old.recipe,
        section_sha256=old.section_sha256,
        inputs={"rows": hash_entries(rows.files)},
        details=old.details | {"rounds": rounds},
        packages=PACKAGES,
    )
    return Job(
        (Step("Fetch Again", work, again),),
        PublishFiles(generation, outputs, {"": rows.rows}, FETCH_OUTCOMES),
    )
