"""Shards are in the order of a keyed hash, the same in every view, and cut where they should be."""

import numpy as np
import pyarrow as pa
import pytest

from pipelines import shuffle
from pipelines.shuffle import every_cut, order_keys, shard_sizes, split_by_shard
from tokens.manifest import read_manifest, read_table


def read_ids(build, group):
    folder = str(build / "tokens")
    files = read_manifest(folder).group(group)
    return pa.concat_tables(read_table(folder, entry, ["pair_id"]) for entry in files)["pair_id"]


def test_a_builds_shards_are_sorted_by_the_keyed_hash_in_every_view(finished_build):
    seed = read_manifest(str(finished_build / "tokens")).recipe["encode"]["seed"]
    first = read_ids(finished_build, "train/view0")
    keys = order_keys(first, seed)
    assert len(keys) > 3 and keys == sorted(keys)
    assert first.to_pylist() != sorted(first.to_pylist())  # the hash is no order of the pairs
    assert read_ids(finished_build, "train/view1").to_pylist() == first.to_pylist()


def test_another_seed_is_another_order():
    ids = pa.array([bytes([n]) * 16 for n in range(9)], pa.binary(16))
    assert np.argsort(order_keys(ids, 0)).tolist() != np.argsort(order_keys(ids, 1)).tolist()


@pytest.mark.parametrize("piece_rows", [1, 3, 4, 50])
def test_cuts_stand_every_so_many_keys_however_the_keys_come_in_pieces(monkeypatch, piece_rows):
    monkeypatch.setattr(shuffle, "SHARD_ROWS", 4)
    keys = np.zeros(18, [("high", "u8"), ("low", "u8")])
    keys["low"] = np.arange(18) * 7
    pieces = [every_cut(keys[n : n + piece_rows], n) for n in range(0, 18, piece_rows)]
    cuts = [cut for piece in pieces for cut in piece]
    assert [int(cut, 16) for cut in cuts] == [0, 28, 56, 84, 112]
    assert len(cuts) == len(shard_sizes(18))


def test_each_row_goes_to_the_shard_that_its_key_says():
    cuts = [f"{n:032x}" for n in (3, 10, 20)]
    numbers = [19, 3, 20, 9, 10]
    keys = [n.to_bytes(16, "big") for n in numbers]
    pieces = split_by_shard(pa.table({"n": numbers}), keys, cuts, "train/view0")
    assert {name: piece["n"].to_pylist() for name, piece in pieces.items()} == {
        "train/view0/0": [3, 9],
        "train/view0/1": [19, 10],
        "train/view0/2": [20],
    }
