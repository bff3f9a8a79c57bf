"""What the recipe's lists and rules say of a unit's rows, before anything is compared.

Rules stand in the recipe's order, and the first that drops a row gives the reason. What had
already ended elsewhere (a failed fetch, a pair that stood in an earlier row) keeps that reason.
Yet every rule is asked about every fetched row, so that the record can tell what each one costs,
and what it drops that no other would.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.filter import Filter
from filters.signals import CORPUS_SIGNAL_TYPES
from pipelines import join, progress
from pipelines.commit import Output, Written, commit_table, make_key
from pipelines.dead_letters import INTERNAL_ERROR
from pipelines.fetching.refused import Refused
from pipelines.ledger import DUPLICATE_PAIR, OK
from pipelines.recipe_sections import SelectSection
from pipelines.score_faults import find_faulty
from pipelines.selecting.candidates import SignalUnit
from pipelines.selecting.caption_counts import CaptionAnswers
from pipelines.web.lists import Lists, load_lists
from tokens.manifest import KEPT, read_table

OPTOUT_LIST = "optout_list"

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows as the rules leave them, and what each rule did."""

    reasons: pa.Array
    """Per row why it is dropped, or `kept`."""
    rules: dict[str, dict[str, float]]
    """Per rule, over fetched rows: `fires`, it would drop the row; `only`, no other rule would;
    `seconds`."""
    together: dict[str, int]
    """Per two rules that dropped a row both, "a b" in the recipe's order: how many rows."""


def apply_rules(
    signals: pa.Table,
    outcomes: pa.Array | pa.ChunkedArray,
    rules: Sequence[Filter],
    earlier: Mapping[str, Mask] | None = None,
) -> Judged:
    """Ask every rule about every fetched row.

    Args:
        signals: the columns that the rules read.
        outcomes: per row `ok`, or the reason for which it has ended already.
        earlier: rows that are dropped before any rule is asked, by their reason.
    """
    if isinstance(outcomes, pa.ChunkedArray):
        outcomes = outcomes.combine_chunks()
    fetched = pc.equal(outcomes, OK)
    batch = _one_batch(signals.filter(fetched))
    fired = np.ones((len(rules) + 1, len(batch)), bool)  # the last row keeps what no rule drops
    seconds = []
    for number, rule in enumerate(rules):
        start = time.perf_counter()
        fired[number] = rule(batch)
        seconds.append(round(time.perf_counter() - start, 6))
    names = pa.array([*(rule.reason for rule in rules), KEPT], pa.string())
    reasons = pc.replace_with_mask(outcomes, fetched, names.take(pa.array(fired.argmax(axis=0))))
    for reason, dropped in reversed([*(earlier or {}).items()]):
        reasons = pc.if_else(pc.and_(fetched, pa.array(dropped)), reason, reasons)
    return Judged(reasons, *_count(rules, fired[:-1], seconds))


def _count(
    rules: Sequence[Filter], fired: Mask, seconds: Sequence[float]
) -> tuple[dict[str, dict[str, float]], dict[str, int]]:
    alone = fired & (fired.sum(axis=0) == 1)
    counts = {
        rule.reason: {
            "fires": int(fired[number].sum()),
            "only": int(alone[number].sum()),
            "seconds": seconds[number],
        }
        for number, rule in enumerate(rules)
    }
    both = fired.astype(np.float64) @ fired.T.astype(np.float64)
    together = {
        f"{rules[one].reason} {rules[other].reason}": int(both[one, other])
        for one, other in combinations(range(len(rules)), 2)
        if both[one, other]
    }
    return counts, together


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    """All rows of a table, of which there may be none."""
    return pa.record_batch(
        [column.combine_chunks() for column in table.columns], schema=table.schema
    )


def find_listed(lists: Lists, pairs: pa.Table) -> Mask:
    """Rows whose URL, host, or digest of bytes as fetched is on an opt-out list.

    Args:
        pairs: `url`, `url_final` and `sha256` of a unit's rows.
    """
    digests = set().union(*(entries.sha256 for entries in lists.optout))
    listed = np.array([digest in digests for digest in pairs["sha256"].to_pylist()], bool)
    if any(entries.urls or entries.hosts for entries in lists.optout):
        urls = zip(pairs["url"].to_pylist(), pairs["url_final"].to_pylist(), strict=True)
        listed |= [any(_is_listed(lists, url) for url in {*row} - {None}) for row in urls]
    return listed


def _is_listed(lists: Lists, url: str) -> bool:
    try:
        lists.refuse_url(url)
    except Refused as refused:
        return refused.reason == OPTOUT_LIST
    return False


@cache
def load_optout(files: tuple[str, ...]) -> Lists:
    """Opt-out lists, read once in a process."""
    return load_lists(files, ())


@dataclass(frozen=True, slots=True)
class JudgeUnit:
    """One unit's verdicts: per row a reason, or `kept` where only duplicates are still to come."""

    pairs_folder: str
    signals_folder: str
    folder: str
    section: SelectSection
    section_sha256: str
    duplicates: tuple[Output, ...]
    """Per bucket: rows by unit whose pair another row stands for."""
    captions: CaptionAnswers | None
    """None where no rule reads a caption's count."""

    def output(self, item: SignalUnit) -> Output:
        counts = self.captions.answers if self.captions else ()
        names = [output.name for output in (*self.duplicates, *counts)]
        key = make_key(self.section_sha256, item.pairs.sha256, item.signals.sha256, *names)
        name = f"verdicts-{item.index:05d}-{key}.parquet"
        return Output(join.join_folder(self.folder), name, index=item.index)

    def rows(self, item: SignalUnit) -> int:
        return item.pairs.rows

    def __call__(self, item: SignalUnit) -> None:
        listing = ("url", "url_final", "sha256") if self.section.optout_lists else ()
        pairs = read_table(self.pairs_folder, item.pairs, ("outcome", *listing))
        signals = self._read_signals(item, pairs)
        faulty = pa.array(find_faulty(self.signals_folder, item.signals))
        faulty = pc.and_(faulty, pc.equal(pairs["outcome"].combine_chunks(), OK))
        judged = apply_rules(
            signals,
            pc.if_else(faulty, INTERNAL_ERROR, pairs["outcome"].combine_chunks()),
            self.section.rules,
            self._find_earlier(item, pairs),
        )
        side: dict[str, Any] = {"rules": judged.rules, "together": judged.together}
        counted = [name for name in signals.column_names if name in CORPUS_SIGNAL_TYPES]
        verdicts = signals.select(counted).append_column("reason", judged.reasons)
        commit_table(self.output(item), verdicts, Written(len(verdicts), side=side))
        progress.advance(len(verdicts))

    def _read_signals(self, item: SignalUnit, pairs: pa.Table) -> pa.Table:
        """The columns that rules read, and no others: embeddings are a hundred times their size."""
        names = sorted({name for rule in self.section.rules for name in rule.signals})
        stored = [name for name in names if name not in CORPUS_SIGNAL_TYPES]
        signals = read_table(self.signals_folder, item.signals, stored or ("pair_id",))
        if self.captions is not None:
            counts = self.captions.read(item.index, pairs["outcome"])
            signals = signals.append_column("caption_count", counts)
        return signals

    def _find_earlier(self, item: SignalUnit, pairs: pa.Table) -> dict[str, Mask]:
        again = np.zeros(len(pairs), bool)
        again[join.read_answers(self.duplicates, item.index)] = True
        earlier = {DUPLICATE_PAIR: again}
        if self.section.optout_lists:
            earlier[OPTOUT_LIST] = find_listed(load_optout(self.section.optout_lists), pairs)
        return earlier
