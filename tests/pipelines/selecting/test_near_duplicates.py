"""Near duplicates through the whole select stage, against a search of all pairs."""

import hashlib
from itertools import combinations
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.selecting.hash_buckets import HASH, collapse
from tests.pipelines.selecting.select_corpus import (
    Picture,
    plan,
    reasons,
    run,
    select,
    write_corpus,
)
from tokens.manifest import read_manifest

NEAR = {"near_duplicates": {"max_distance": 3}}


def cluster_by_hand(units, max_distance):
    """Per row that takes part: the rows of its cluster, by comparing every two rows."""
    rows = {
        (unit, row): picture
        for unit, pictures in enumerate(units)
        for row, picture in enumerate(pictures)
        if picture.outcome == "ok" and picture.side_px >= 256
    }
    clusters = {place: {place} for place in rows}
    for one, other in combinations(rows, 2):
        distance = (rows[one].phash ^ rows[other].phash).bit_count()
        if distance <= max_distance and clusters[one] is not clusters[other]:
            clusters[one] |= clusters[other]
            for place in clusters[other]:
                clusters[place] = clusters[one]
    return rows, clusters


def expected_reasons(units, max_distance):
    rows, clusters = cluster_by_hand(units, max_distance)
    for unit, pictures in enumerate(units):
        for row, picture in enumerate(pictures):
            if picture.outcome != "ok":
                yield picture.outcome
            elif (unit, row) not in rows:
                yield "short_side"
            else:
                best = min(clusters[unit, row], key=lambda p: (-rows[p].side_px, p))
                yield "kept" if best == (unit, row) else "near_duplicate"


flips = st.integers(0, 5).flatmap(
    lambda n: st.lists(st.sampled_from([0, 1, 15, 16, 31, 40, 62, 63]), min_size=n, max_size=n)
)


@st.composite
def pictures(draw):
    phash = draw(st.sampled_from([0, 2**64 - 1, 0x0123456789ABCDEF]))
    for bit in draw(flips):
        phash ^= 1 << bit
    return Picture(
        phash,
        draw(st.sampled_from([100, 256, 300, 400])),
        outcome=draw(st.sampled_from(["ok", "ok", "ok", "timeout"])),
    )


@settings(max_examples=25, deadline=None)
@given(
    units=st.lists(st.lists(pictures(), min_size=1, max_size=8), min_size=1, max_size=4),
    max_distance=st.integers(0, 7),
)
def test_agrees_with_a_search_of_all_pairs(units, max_distance):
    units = [
        [p if p.outcome == "ok" else Picture(None, p.side_px, outcome=p.outcome) for p in unit]
        for unit in units
    ]
    section = {"near_duplicates": {"max_distance": max_distance}}
    decided = select(f"memory://{uuid4()}", units, section)
    assert reasons(decided) == list(expected_reasons(units, max_distance))


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        pytest.param([Picture(0), Picture(0b111)], ["kept", "near_duplicate"], id="three bits"),
        pytest.param([Picture(0), Picture(0b1111)], ["kept", "kept"], id="four bits"),
        pytest.param(
            [Picture(0), Picture(1, 400)], ["near_duplicate", "kept"], id="the larger one stays"
        ),
        pytest.param(
            [Picture(0, 100), Picture(1)],
            ["short_side", "kept"],
            id="what a rule drops",
        ),
        pytest.param(
            [Picture(0), Picture(0b111), Picture(0b111111)],
            ["kept", "near_duplicate", "near_duplicate"],
            id="a chain is one cluster",
        ),
    ],
)
def test_which_of_a_cluster_is_kept(tmp_path: Path, pictures, expected):
    assert reasons(select(tmp_path, [pictures], NEAR)) == expected
    apart = [[picture] for picture in pictures]
    assert reasons(select(tmp_path / "apart", apart, NEAR)) == expected


CHAIN = [[Picture(0), Picture(0xFF << 40)], [Picture(0b111), Picture(0b111111, 400)], [Picture(0)]]


def test_clusters_are_listed_and_described(tmp_path: Path):
    select(tmp_path, CHAIN, NEAR)
    details = read_manifest(str(tmp_path / "decisions")).details["near_duplicates"]
    assert details == {
        "max_distance": 3,
        "clusters": 1,
        "largest": 4,
        "diameter_of_largest": 6,
        "pairs": 2,
    }
    file = tmp_path / "decisions" / "clusters.parquet"
    beside = read_manifest(str(tmp_path / "decisions")).details["beside"]
    assert beside == {"clusters.parquet": hashlib.sha256(file.read_bytes()).hexdigest()}
    rows = pq.read_table(file).to_pylist()
    assert [(row["unit"], row["row"]) for row in rows] == [(0, 0), (1, 0), (1, 1), (2, 0)]
    assert {row["cluster"] for row in rows} == {0}
    assert [row["distance_to_keeper"] for row in rows] == [6, 3, 0, 6]
    assert [row["kept"] for row in rows] == [False, False, True, False]
    assert not (tmp_path / "decisions" / "join").exists()


def test_flat_pictures_that_share_a_hash_are_one_cluster_and_no_pairs():
    folder = f"memory://{uuid4()}"
    flat, near = [Picture(0)] * 3, [Picture(0xFF << 40), Picture(0xFF << 40 | 1)]
    assert reasons(select(folder, [flat, near], NEAR)).count("near_duplicate") == 3
    details = read_manifest(f"{folder}/decisions").details["near_duplicates"]
    assert (details["clusters"], details["largest"]) == (2, 3)
    assert (details["diameter_of_largest"], details["pairs"]) == (0, 1)


def test_no_row_takes_part():
    folder = f"memory://{uuid4()}"
    assert reasons(select(folder, [[Picture(0, side_px=100)]], NEAR)) == ["short_side"]
    assert read_manifest(f"{folder}/decisions").details["near_duplicates"]["clusters"] == 0


def test_a_hot_hash_is_one_record_of_a_unit():
    records = np.zeros(10_000, HASH)
    records["row"], records["rows"] = np.arange(10_000), 1
    records["area"][[70, 80]] = 5
    (best,) = collapse(records)
    assert (best["row"], best["rows"], best["area"]) == (70, 10_000, 5)


def test_a_cluster_stays_on_one_side_where_all_of_it_is_kept():
    listed = {"near_duplicates": {"action": "list"}, "split_by": "cluster"}
    alone = set()
    for seed in range(12):
        section = listed | {"validation_share": 0.5, "seed": seed}
        decided = select(f"memory://{uuid4()}", CHAIN, section)
        assert set(reasons(decided)) == {"kept"}
        sides = [side for place, (_, side) in enumerate(decided) if place != 1]
        assert len(set(sides)) == 1
        alone.add(decided[1][1])
    assert alone == {"train", "val"}


def test_publishing_again_changes_nothing(tmp_path: Path):
    """A Beam pipeline publishes in its last step, and its driver once more."""
    job = plan(tmp_path, write_corpus(tmp_path, CHAIN), NEAR)
    first = run(job)
    before = digest_folder(tmp_path)
    assert job.publish() == first
    assert digest_folder(tmp_path) == before


SECTION = NEAR | {"exact_duplicates": ["bytes", "pixels", "phash_caption"]}


def test_the_same_bytes_in_any_order_of_items(tmp_path: Path):
    folders = [tmp_path / "forwards", tmp_path / "backwards"]
    for folder in folders:
        job = plan(folder, write_corpus(folder, CHAIN), SECTION)
        run(job, backwards=folder.name == "backwards")
    one, other = map(digest_folder, folders)
    assert one == other
    assert len(one) == 3 + 1 + 1, "units, clusters, manifest"


def test_the_same_bytes_after_a_crash_in_any_step(tmp_path: Path):
    folder = tmp_path / "whole"
    job = plan(folder, write_corpus(folder, CHAIN), SECTION)
    run(job)
    for crashed in range(len(job.steps)):
        folder = tmp_path / str(crashed)
        job = plan(folder, write_corpus(folder, CHAIN), SECTION)
        for step in job.steps[:crashed]:
            for item in step.items:
                step.work(item)
        step = job.steps[crashed]
        for item in step.items[1:]:
            step.work(item)
        torn = Path(step.work.output(step.items[0]).url)
        torn.parent.mkdir(exist_ok=True)
        torn.write_bytes(b"half a")
        run(job)
        assert digest_folder(folder) == digest_folder(tmp_path / "whole"), step.label


def digest_folder(folder: Path) -> dict[str, bytes]:
    """All but records: those hold times."""
    files = (folder / "decisions").rglob("*")
    return {
        file.name: file.read_bytes()
        for file in files
        if file.is_file() and not file.name.endswith(".parquet.json")
    }
