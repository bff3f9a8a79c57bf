"""The same input gives the same bytes in any order of work, and every kept row has an origin.

Lists I05 and I06.
"""

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.pipelines.small_build import (
    InProcess,
    build_here,
    draw_rows,
    inline_decoders,
    read_corpus,
    write_source,
)
from tokens.manifest import KEPT, Manifest, join_url, read_table
from tokens.shards import PROVENANCE

__all__ = ["inline_decoders"]

pytestmark = pytest.mark.usefixtures("inline_decoders")

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source"))


def shuffled(seed: int) -> InProcess:
    def order(items: Sequence[Any]) -> Sequence[Any]:
        return random.Random(seed).sample(items, len(items))

    return InProcess(order)


def test_the_order_in_which_items_end_leaves_no_trace(source: Path, tmp_path: Path) -> None:
    build_here(source, tmp_path / "in order")
    expected = read_corpus(tmp_path / "in order")

    for seed in range(3):
        corpus = tmp_path / f"shuffled {seed}"
        build_here(source, corpus, engine=shuffled(seed))
        assert read_corpus(corpus) == expected


def test_other_input_gives_other_names(source: Path, tmp_path: Path) -> None:
    """What makes the test above able to fail: names and bytes do hang on what they are made of."""
    other = draw_rows()
    other["caption"][2] = "quite another caption"
    build_here(source, tmp_path / "one")
    build_here(write_source(tmp_path / "source", other), tmp_path / "other")

    one, two = read_corpus(tmp_path / "one"), read_corpus(tmp_path / "other")
    assert {n for n in one if n.startswith("pairs/00000")}.isdisjoint(two)


def read_stage(directory: Path, folder: str, manifest: Manifest) -> list[Rows]:
    """The rows of a stage, unit by unit, with their place in it."""
    url = join_url(str(directory), folder)
    return [read_table(url, entry).to_pylist() for entry in manifest.files]


def test_every_kept_row_joins_back_to_one_input_row(source: Path, tmp_path: Path) -> None:
    done = build_here(source, tmp_path)
    rows, pairs, decisions = (
        sum(read_stage(tmp_path, folder, done[stage]), [])
        for stage, folder in (("rows", "rows"), ("fetch", "pairs"), ("select", "decisions"))
    )
    origin = {(row["source"], row["row"]): row for row in rows}
    assert len(origin) == len(rows) == len(pairs) == len(decisions)
    kept = {}
    for pair, decision in zip(pairs, decisions, strict=True):
        row = origin.pop((pair["source"], pair["row"]))
        assert decision["pair_id"] == pair["pair_id"]
        assert (pair["url"], pair["caption"]) == (row["url"], row["caption"])
        if decision["reason"] == KEPT:
            assert pair["pair_id"] not in kept
            kept[pair["pair_id"]] = pair
    assert not origin
    assert len(kept) == done["select"].counts[KEPT]
    assert shards_of(tmp_path, done["encode"]) == {key: told(pair) for key, pair in kept.items()}


def shards_of(directory: Path, tokens: Manifest) -> dict[bytes, dict[str, Any]]:
    """What the shards of the first view say of a pair's origin, each pair once."""
    files = [entry for entry in tokens.files if entry.group.endswith("view0")]
    read = [pq.read_table(directory / "tokens" / entry.name) for entry in files]
    found = [row for table in read for row in table.to_pylist()]
    by_pair = {row["pair_id"]: {name: row[name] for name in PROVENANCE.names} for row in found}
    assert len(by_pair) == len(found)
    return by_pair


def told(pair: dict[str, Any]) -> dict[str, Any]:
    return {name: pair[name] for name in PROVENANCE.names}


def test_provenance_is_whole_and_the_counts_are_the_cards(source: Path, tmp_path: Path) -> None:
    done = build_here(source, tmp_path)

    columns = draw_rows()
    bodies = dict(zip(columns["url"], columns["image"], strict=True))
    for found in shards_of(tmp_path, done["encode"]).values():
        assert found["sha256"] == hashlib.sha256(bodies[found["url"]]).digest()
        assert (found["original_width"], found["original_height"]) == (80, 70)
        assert found["source"] == 0
    assert {"url", "sha256", "original_width", "original_height", "license", "source"} == set(
        PROVENANCE.names
    )
    for stage in ("fetch", "select"):
        assert sum(done[stage].counts.values()) == done["rows"].rows == len(columns["url"])
