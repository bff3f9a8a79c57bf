"""Joins by buckets equal joins in memory."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import join
from pipelines.commit import Output, Written, commit_file

digests = st.lists(st.binary(min_size=16, max_size=16), max_size=30)


def make_unit(unit: int, keys: list[bytes]) -> join.Keys:
    return join.make_keys(pa.array(keys, pa.binary(16)), unit, np.zeros(len(keys), np.uint8))


def commit_units(folder: Path, units: list[join.Keys], buckets: int) -> list[Output]:
    outputs = [Output(str(folder), f"keys-{unit}") for unit in range(len(units))]
    for output, keys in zip(outputs, units, strict=True):
        commit_file(output, lambda s, k=keys: join.scatter(s, k, buckets), Written(len(keys)))
    return outputs


@settings(max_examples=25, deadline=None)
@given(units=st.lists(digests, min_size=1, max_size=4), bits=st.integers(0, 5))
def test_every_key_lands_in_one_bucket_and_comes_back(
    tmp_path_factory: pytest.TempPathFactory, units: list[list[bytes]], bits: int
) -> None:
    folder = tmp_path_factory.mktemp("join")
    keys = [make_unit(unit, digests) for unit, digests in enumerate(units)]
    outputs = commit_units(folder, keys, 1 << bits)
    found = [join.gather(outputs, bucket) for bucket in range(1 << bits)]
    for bucket, piece in enumerate(found):
        assert set(join.bucket_of(piece, 1 << bits)) <= {bucket}
    everything = np.sort(np.concatenate(found), order=("unit", "row"))
    assert everything.tolist() == np.concatenate(keys).tolist()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 50)), unique=True))
def test_answers_reach_the_units_that_they_speak_of(
    tmp_path_factory: pytest.TempPathFactory, spoken: list[tuple[int, int]]
) -> None:
    rows = np.zeros(len(spoken), join.KEY)
    rows["unit"] = [unit for unit, _ in spoken]
    rows["row"] = [row for _, row in spoken]
    outputs = [Output(str(tmp_path_factory.mktemp("answers")), name) for name in ("a", "b")]
    for output, part in zip(outputs, (rows[::2], rows[1::2]), strict=True):
        commit_file(output, lambda s, p=part: join.write_answers(s, p, 5), Written(len(part)))
    for unit in range(5):
        expected = sorted(row for other, row in spoken if other == unit)
        assert sorted(join.read_answers(outputs, unit).tolist()) == expected


@pytest.mark.parametrize(
    ("rows", "buckets"), [(0, 1), (1, 1), (1 << 21, 1), ((1 << 21) + 1, 2), (250_000_000, 128)]
)
def test_a_bucket_holds_about_two_million_keys(rows: int, buckets: int) -> None:
    assert join.choose_buckets(rows) == buckets
