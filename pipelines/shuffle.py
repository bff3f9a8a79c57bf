"""The corpus in random order without a sort of the corpus: keys are ordered, rows are routed.

A pair's place is that of a keyed hash of its `pair_id`. Only hashes are ordered, bucket by
bucket; cutting them every `SHARD_ROWS` gives the first hash of each shard. With these cuts a
unit knows by itself which shard each of its rows belongs to, and writes a run file with one
record batch per shard, so that a shard reads just its own batches from every run. A shard is
then a random sample of the corpus, the same whoever wrote it. What is routed is tokens
(about 2 kB a row and view), never pictures.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipelines import join, progress
from pipelines.commit import Output, Written, commit_file, make_key, write_all
from tokens.manifest import KEPT, FileEntry, join_url, read_table
from tokens.sequence import SequenceLayout
from tokens.shards import SHARD_ROWS, shard_schema, write_shard

SPLITS = ("train", "val")


def run_folder(tokens_folder: str) -> str:
    """Where key files and runs stand until the shards are published."""
    return join_url(tokens_folder, "work")


def shard_sizes(rows: int) -> list[int]:
    """Rows of each shard of a split: full ones and a short last one.

    >>> shard_sizes(40_000)
    [16384, 16384, 7232]
    """
    return [min(SHARD_ROWS, rows - start) for start in range(0, rows, SHARD_ROWS)]


def order_keys(pair_ids: pa.Array | pa.ChunkedArray, seed: int) -> list[bytes]:
    """The keyed hash of each pair that decides its place in the corpus: 16 bytes each."""
    prefix = f"order/{seed}/".encode()
    return [xxhash.xxh3_128(prefix + pair_id).digest() for pair_id in pair_ids.to_pylist()]


@dataclass(frozen=True, slots=True)
class OrderUnit:
    """One unit's keys of kept rows, scattered into buckets; the flag is the split."""

    decisions_folder: str
    folder: str
    kept: int
    seed: int

    def output(self, item: FileEntry) -> Output:
        key = make_key("order", str(self.seed), str(self.kept), item.sha256)
        return Output(run_folder(self.folder), f"order-{item.index:05d}-{key}.bin")

    def rows(self, item: FileEntry) -> int:
        return item.rows

    def __call__(self, item: FileEntry) -> None:
        table = read_table(self.decisions_folder, item)
        kept = table.filter(pc.equal(table["reason"], KEPT))
        digests = pa.array(order_keys(kept["pair_id"], self.seed), pa.binary(16))
        splits = pc.index_in(kept["split"], pa.array(SPLITS)).to_numpy().astype(np.uint8)
        keys = join.make_keys(digests, item.index, splits)
        buckets = join.choose_buckets(self.kept)
        commit_file(
            self.output(item), lambda sink: join.scatter(sink, keys, buckets), Written(len(keys))
        )
        progress.advance(item.rows)


@dataclass(frozen=True, slots=True)
class CutShards:
    """The first key of every shard, from all units' keys, one bucket in memory at a time."""

    folder: str
    orders: tuple[Output, ...]
    kept: int

    def output(self, item: int) -> Output:
        key = make_key("cut", *(order.name for order in self.orders))
        return Output(run_folder(self.folder), f"cuts-{key}.json")

    def rows(self, item: int) -> int:
        return self.kept

    def __call__(self, item: int) -> None:
        cuts: list[list[str]] = [[] for _ in SPLITS]
        before = [0 for _ in SPLITS]
        for bucket in range(join.choose_buckets(self.kept)):
            keys = join.gather(self.orders, bucket)
            for split in range(len(SPLITS)):
                found = np.sort(keys[keys["flag"] == split], order=("high", "low"))
                cuts[split] += every_cut(found, before[split])
                before[split] += len(found)
            progress.advance(len(keys))
        data = json.dumps(dict(zip(SPLITS, cuts, strict=True))).encode()
        commit_file(self.output(item), lambda sink: write_all(sink, data), Written(sum(before)))


def every_cut(keys: join.Keys, before: int) -> list[str]:
    """Keys that open a shard, as 32 hex digits, in a sorted piece that follows `before` keys."""
    opening = keys[-before % SHARD_ROWS :: SHARD_ROWS]
    return [f"{high:016x}{low:016x}" for high, low in opening[["high", "low"]].tolist()]


def read_cuts(cuts: Output) -> dict[str, list[str]]:
    """Per split the first key of every shard, as hex digits."""
    filesystem, path = fsspec.url_to_fs(cuts.url)
    found: dict[str, list[str]] = json.loads(filesystem.cat_file(path))
    return found


def split_by_shard(
    table: pa.Table, keys: Sequence[bytes], cuts: Sequence[str], group: str
) -> dict[str, pa.Table]:
    """A unit's rows by the shard that they belong to: "group/index" to rows with their `order`."""
    places = np.searchsorted(np.array(cuts), np.array([key.hex() for key in keys]), "right")
    ordered = table.append_column("order", pa.array(keys, pa.binary(16)))
    return {
        f"{group}/{place - 1}": ordered.filter(pa.array(places == place))
        for place in np.unique(places)
    }


def write_run(sink: IO[bytes], pieces: Mapping[str, pa.Table]) -> None:
    """Write a run: an Arrow file per piece, one after another, behind a table of their places."""
    buffers = {name: _to_arrow(piece) for name, piece in pieces.items()}
    places, start = {}, 0
    for name, buffer in buffers.items():
        places[name] = (start, start + buffer.size)
        start += buffer.size
    head = json.dumps(places).encode()
    sink.write(len(head).to_bytes(8, "little") + head)
    for buffer in buffers.values():
        sink.write(buffer)


def _to_arrow(piece: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, piece.schema) as writer:
        writer.write_table(piece.combine_chunks())
    return sink.getvalue()


def read_piece(run: Output, name: str) -> pa.Table | None:
    """One shard's rows of a run, by two range reads; None where it has none."""
    filesystem, path = fsspec.url_to_fs(run.url)
    with filesystem.open(path, "rb", block_size=1 << 16) as file:
        length = int.from_bytes(file.read(8), "little")
        places: dict[str, Any] = json.loads(file.read(length))
        if name not in places:
            return None
        start, stop = places[name]
        file.seek(8 + length + start)
        return pa.ipc.open_stream(file.read(stop - start)).read_all()


@dataclass(frozen=True, slots=True)
class Shard:
    """One token shard to be."""

    split: str
    view: int
    index: int
    rows: int

    @property
    def group(self) -> str:
        return f"{self.split}/view{self.view}"


@dataclass(frozen=True, slots=True)
class CollectShard:
    """One shard's rows from all runs, in order, as Parquet."""

    folder: str
    layout: SequenceLayout
    runs: tuple[Output, ...]

    def output(self, item: Shard) -> Output:
        key = make_key("shard", *(run.name for run in self.runs))
        name = f"{item.group}-{item.index:05d}-{key}.parquet"
        return Output(self.folder, name, item.group, item.index)

    def rows(self, item: Shard) -> int:
        return item.rows

    def __call__(self, item: Shard) -> None:
        pieces = [read_piece(run, f"{item.group}/{item.index}") for run in self.runs]
        rows = pa.concat_tables([piece for piece in pieces if piece is not None])
        table = (
            rows.sort_by("order").drop_columns("order").cast(shard_schema(self.layout, item.view))
        )
        if len(table) != item.rows:
            raise RuntimeError(f"{self.output(item).url}: {len(table)} rows, expected {item.rows}")
        commit_file(self.output(item), lambda sink: write_shard(sink, table), Written(len(table)))
        progress.advance(len(table))
