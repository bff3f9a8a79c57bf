"""What differs between two builds, or between two manifests of one stage, as lines."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

import pyarrow.parquet as pq

from pipelines.checking.manifest_diff import describe_recipe, describe_stage
from pipelines.checking.pair_diff import (
    PAIR_CHANGES_SCHEMA,
    Decided,
    count_changes,
    only_changed,
    pair_changes,
)
from pipelines.checking.verification import STAGES
from pipelines.commit import current_manifest
from tokens.manifest import KEPT, Manifest, join_url, read_manifest_file
from tokens.put import open_whole

SAME = "nothing differs"
ABSENT = "not there"


def describe_builds(a: str, b: str, pairs_file: str | None = None) -> Iterator[str]:
    """The differences, stage by stage.

    Args:
        a, b: folders of builds, or files that are manifests.
        pairs_file: a Parquet file to write, a row for each pair that is decided otherwise.

    Raises:
        FileNotFoundError, ValueError: one of them is neither; pairs are asked for of what has none.
    """
    if a.endswith(".json") and b.endswith(".json"):
        lines = describe_manifests(read_manifest_file(a), read_manifest_file(b))
        if pairs_file is not None:
            raise ValueError("--pairs compares builds: give their folders instead of manifests")
    else:
        lines = _describe_folders(a, b, pairs_file)
    empty = True
    for line in lines:
        empty = False
        yield line
    if empty:
        yield SAME


def describe_manifests(a: Manifest, b: Manifest) -> Iterator[str]:
    """Raises ValueError where they are of two stages."""
    if a.stage != b.stage:
        raise ValueError(f"one manifest is of {a.stage}, the other of {b.stage}: give two of one")
    yield from describe_recipe(a.recipe, b.recipe)
    yield from describe_stage(a, b)


def _describe_folders(a: str, b: str, pairs_file: str | None) -> Iterator[str]:
    left, right = _read_stages(a), _read_stages(b)
    newest = [list(one.values())[-1] for one in (left, right)]
    yield from describe_recipe(newest[0].recipe, newest[1].recipe)
    for stage in STAGES:
        if stage in left and stage in right:
            yield from describe_stage(left[stage], right[stage])
        elif stage in left or stage in right:
            yield f"{stage:<10}{ABSENT} in {b if stage in left else a}"
    if "decisions" in left and "decisions" in right:
        yield from _describe_pairs(_decided(a, left), _decided(b, right), pairs_file)
    elif pairs_file is not None:
        raise ValueError("--pairs needs two builds that have come as far as select")


def _decided(folder: str, stages: Mapping[str, Manifest]) -> Decided:
    return Decided(join_url(folder, "decisions"), stages["decisions"])


def _read_stages(folder: str) -> dict[str, Manifest]:
    """The manifests of a build's finished stages, in their order."""
    found = {stage: current_manifest(join_url(folder, stage)) for stage in STAGES}
    stages = {stage: manifest for stage, manifest in found.items() if manifest is not None}
    if not stages:
        raise FileNotFoundError(f"{folder} holds no finished stage: give a build's --output")
    return stages


def _describe_pairs(a: Decided, b: Decided, pairs_file: str | None) -> Iterator[str]:
    """Nothing where every file of decisions is the same and no list of pairs is asked for."""
    if a.manifest.files == b.manifest.files and pairs_file is None:
        return
    counts: Counter[tuple[str | None, str | None]] = Counter()
    with nullcontext() if pairs_file is None else _open_list(pairs_file) as writer:
        for changes in pair_changes(a, b):
            counts += count_changes(changes)
            if writer is not None:
                writer.write_table(only_changed(changes))
    yield from _describe_changes(counts)


@contextmanager
def _open_list(url: str) -> Iterator[pq.ParquetWriter]:
    """A Parquet file that has its name when it is whole."""
    with open_whole(url) as file, pq.ParquetWriter(file, PAIR_CHANGES_SCHEMA) as writer:
        yield writer


def _describe_changes(counts: Counter[tuple[str | None, str | None]]) -> Iterator[str]:
    both = counts[KEPT, KEPT]
    only_a = sum(rows for (a, _), rows in counts.items() if a == KEPT) - both
    only_b = sum(rows for (_, b), rows in counts.items() if b == KEPT) - both
    yield f"pairs kept: {both:,} in both, {only_a:,} in A alone, {only_b:,} in B alone"
    changed = [(rows, pair) for pair, rows in counts.items() if pair[0] != pair[1]]
    for rows, (a, b) in sorted(changed, key=lambda each: (-each[0], str(each[1]))):
        yield f"  {rows:>14,}  {a or ABSENT} -> {b or ABSENT}"
