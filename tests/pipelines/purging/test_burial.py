"""What is left of a row that is taken down, table by table."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.inputs.source import Row
from pipelines.ledger import TOMBSTONED, TRANSIENT
from pipelines.pairs import PAIRS_SCHEMA, make_pair_id
from pipelines.purging.burial import (
    bury_decisions,
    bury_pairs,
    bury_rows,
    bury_signals,
    find_rows,
    find_signals,
    pair_ids_of_rows,
)
from pipelines.purging.files import read_generations, rewrite
from pipelines.purging.tombstones import Tombstones, mark_pair, mark_url, write_tombstones
from pipelines.sources import Source, cut_rows, make_rows_table
from tokens.manifest import Manifest, read_table

URLS = [f"http://h.example/{number}.png" for number in range(6)]
GONE = Tombstones(dict.fromkeys([mark_url(URLS[2]), mark_pair(make_pair_id(URLS[4], "c4"))]))


def rows_table(urls: list[str] = URLS) -> pa.Table:
    rows = [Row(url, f"c{number}", "a licence") for number, url in enumerate(urls)]
    return make_rows_table(rows, 0, 0)


def test_a_row_keeps_its_place_and_its_pair_id() -> None:
    rows = rows_table()
    mask = find_rows(rows, GONE)

    buried = bury_rows(rows, mask)

    assert np.flatnonzero(mask).tolist() == [2, 4]
    assert pair_ids_of_rows(buried) == pair_ids_of_rows(rows)
    for number in (2, 4):
        told = {name: value for name, value in buried.to_pylist()[number].items() if value}
        pair_id = make_pair_id(URLS[number], f"c{number}")
        assert told == {"row": number, "pair_id": pair_id, "outcome": TOMBSTONED}
    assert buried.filter(pa.array(~mask)) == rows.filter(pa.array(~mask))
    assert not find_rows(buried, GONE).any()


def test_rows_that_were_cut_before_they_had_a_pair_id_are_buried_too() -> None:
    old = rows_table().drop_columns(["pair_id"])

    assert bury_rows(old, find_rows(old, GONE)) == bury_rows(rows_table(), find_rows(old, GONE))


@given(st.lists(st.booleans(), min_size=3, max_size=3))
def test_a_buried_pair_says_nothing_and_the_others_what_they_said(gone: list[bool]) -> None:
    texts = {"url": "http://u/", "caption": "c", "outcome": "ok"}
    row = {field.name: _value(field.type) for field in PAIRS_SCHEMA} | texts
    pairs = pa.Table.from_pylist([row | {"row": number} for number in range(3)], PAIRS_SCHEMA)

    buried = bury_pairs(pairs, np.array(gone)).to_pylist()

    for number, (one, before) in enumerate(zip(buried, pairs.to_pylist(), strict=True)):
        kept = {"source": 0, "row": number, "pair_id": before["pair_id"]}
        if gone[number]:
            empty = dict.fromkeys(PAIRS_SCHEMA.names) | {"url": "", "caption": ""}
            assert one == empty | kept | {"outcome": TOMBSTONED}
        else:
            assert one == before


def _value(kind: pa.DataType) -> object:
    if pa.types.is_fixed_size_binary(kind):
        return b"d" * kind.byte_width
    samples = {pa.string(): "t", pa.binary(): b"b", pa.bool_(): True, pa.float32(): 0.5}
    return samples.get(kind, 0)


def test_signals_of_any_type_fall_silent_and_are_found_no_more() -> None:
    pair_ids = [bytes([number]) * 16 for number in range(3)]
    vectors = pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float32(), 2))
    signals = pa.table(
        {
            "pair_id": pa.array(pair_ids, pa.binary(16)),
            "phash": pa.array([1, 2, 3], pa.uint64()),
            "vector": vectors,
            "lists": pa.array([[1], [2], [3]], pa.list_(pa.int8())),
        }
    )
    gone = Tombstones({mark_pair(pair_ids[2]): None})

    buried = bury_signals(signals, find_signals(signals, gone))

    assert buried.schema == signals.schema
    assert buried.to_pylist()[:2] == signals.to_pylist()[:2]
    assert list(buried.to_pylist()[2].values()) == [pair_ids[2], None, None, None]
    assert not find_signals(buried, gone).any()


def test_a_decision_says_why_and_has_no_split() -> None:
    table = {"pair_id": pa.array([b"p" * 16], pa.binary(16)), "reason": ["kept"], "split": ["val"]}

    (row,) = bury_decisions(pa.table(table), np.array([True])).to_pylist()

    assert row == {"pair_id": b"p" * 16, "reason": TOMBSTONED, "split": None}


def test_nobody_asks_again_for_a_tombstone() -> None:
    assert TOMBSTONED not in TRANSIENT


def cut(folder: Path, gone: Tombstones) -> Manifest:
    folder.mkdir()
    table = folder.parent / "urls.parquet"
    pq.write_table(rows_table().select(["url", "caption", "license"]), table)
    write_tombstones(str(folder), gone)
    sources = [Source(str(table))]
    return cut_rows(
        str(folder), sources, unit_rows=3, limit=None, recipe={}, fetch_sha256="section"
    )


def test_buries_what_was_taken_down_when_a_list_is_cut_again(tmp_path: Path) -> None:
    cut_anew = cut(tmp_path / "anew", GONE)

    rows = [read_table(str(tmp_path / "anew" / "rows"), entry) for entry in cut_anew.files]

    assert [outcome for table in rows for outcome in table["outcome"].to_pylist()] == [
        *(None, None, TOMBSTONED, None, TOMBSTONED, None)
    ]


@pytest.mark.parametrize("again", [False, True])
def test_a_purge_writes_what_cutting_again_would(tmp_path: Path, again: bool) -> None:
    """To the byte: fetched units are known by the bytes of their rows."""
    cut_anew = cut(tmp_path / "anew", GONE)
    cut(tmp_path / "purged", Tombstones())
    folder = str(tmp_path / "purged")

    after, (change,) = rewrite(folder, read_generations(folder), GONE)
    if again:  # a second run finds its own files
        after, (change,) = rewrite(folder, read_generations(folder), GONE)

    assert [e.sha256 for e in after["rows"].files] == [e.sha256 for e in cut_anew.files]
    assert (change.files, change.anew, change.rows) == (2, 2, 2)
