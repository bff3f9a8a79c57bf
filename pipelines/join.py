"""Joins over the whole corpus that hold one bucket of keys at a time.

Three acts, each a plain function of committed files. `scatter` sorts a unit's keys into
buckets by their first bits; `gather` collects one bucket from all units; `write_answers`
and `read_answers` carry a bucket's result back to the units. A key record takes 25 bytes,
so a bucket of a 250 million row corpus cut into 128 takes 49 MB.
"""

from collections.abc import Sequence
from typing import IO, Any

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.commit import Output
from tokens.manifest import join_url

KEY = np.dtype([("high", "<u8"), ("low", "<u8"), ("unit", "<u4"), ("row", "<u4"), ("flag", "u1")])
"""A 128-bit key as two big-endian halves, where it stands, and one free byte."""

ROW = np.dtype("<u4")
"""A row of a unit."""

ROWS_PER_BUCKET = 1 << 21

Keys = npt.NDArray[np.void]


def choose_buckets(rows: int) -> int:
    """A power of two, so that a bucket holds about two million keys."""
    return 1 << max(0, (rows - 1).bit_length() - ROWS_PER_BUCKET.bit_length() + 1)


def make_keys(digests: pa.Array, unit: int, flags: npt.NDArray[np.uint8]) -> Keys:
    """Key records of 16-byte digests, one per row of a unit, in row order."""
    halves = split_digests(digests)
    keys = np.zeros(len(halves), KEY)
    keys["high"], keys["low"] = halves[:, 0], halves[:, 1]
    keys["unit"], keys["row"], keys["flag"] = unit, np.arange(len(halves)), flags
    return keys


def split_digests(digests: pa.Array) -> npt.NDArray[np.uint64]:
    """The first 16 bytes of each digest as two big-endian numbers, [N, 2]; of a null, noise."""
    if digests.buffers()[1] is None:  # all are null
        return np.zeros((len(digests), 2), np.uint64)
    width = digests.type.byte_width
    raw = np.frombuffer(digests.buffers()[1], np.uint8)
    rows = raw[digests.offset * width :][: len(digests) * width].reshape(-1, width)
    return np.ascontiguousarray(rows[:, :16]).view(">u8").astype(np.uint64)


def bucket_of(keys: Keys, buckets: int) -> npt.NDArray[np.int64]:
    """Which bucket each key falls into: its first bits."""
    return top_bits(keys["high"], buckets)


def top_bits(values: npt.NDArray[np.uint64], buckets: int) -> npt.NDArray[np.int64]:
    """The number that the first bits of each value write, below `buckets`, a power of two."""
    bits = buckets.bit_length() - 1
    return (values >> np.uint64(63 - bits) >> np.uint64(1)).astype(np.int64)


def scatter(sink: IO[bytes], keys: Keys, buckets: int) -> None:
    """Write keys bucket after bucket behind a table of where each bucket starts."""
    write_runs(sink, sort_into(keys, bucket_of(keys, buckets), buckets))


def gather(outputs: Sequence[Output], bucket: int, dtype: np.dtype[Any] = KEY) -> npt.NDArray[Any]:
    """All keys of one bucket, in the order of the units."""
    parts = [read_slice(output, bucket, dtype) for output in outputs]
    return np.concatenate([np.empty(0, dtype), *parts])


def write_answers(sink: IO[bytes], rows: Keys, units: int) -> None:
    """Write which (unit, row) a bucket speaks of, unit after unit, `units` in number."""
    ordered = rows[np.lexsort((rows["row"], rows["unit"]))]
    write_runs(sink, (ordered["row"], np.bincount(rows["unit"], minlength=units)))


def read_answers(
    outputs: Sequence[Output], unit: int, dtype: np.dtype[Any] = ROW
) -> npt.NDArray[Any]:
    """The rows of one unit that any bucket speaks of, or what it says of them."""
    return gather(outputs, unit, dtype)


Run = tuple[npt.NDArray[Any], npt.NDArray[Any]]
"""Values in the order of their slices, and how many each slice has."""


def sort_into(values: npt.NDArray[Any], slices: npt.NDArray[Any], count: int) -> Run:
    """Values by the slice that each belongs to, in their order otherwise."""
    order = np.argsort(slices, kind="stable")
    return values[order], np.bincount(slices, minlength=count)


def whole(values: npt.NDArray[Any]) -> Run:
    """All values as one slice."""
    return values, np.array([len(values)])


def write_runs(sink: IO[bytes], *runs: Run) -> None:
    """Write the slices of all runs, numbered through, behind a table of their first bytes."""
    sizes = [counts.astype(np.int64) * values.dtype.itemsize for values, counts in runs]
    starts = np.concatenate([[0], np.cumsum(np.concatenate(sizes))]).astype("<u8")
    sink.write(np.uint64(len(starts)).astype("<u8").tobytes())
    sink.write(starts.tobytes())
    for values, _ in runs:
        sink.write(np.ascontiguousarray(values).tobytes())


def read_slice(output: Output, index: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Slice `index` of a file that `write_runs` wrote, by two range reads."""
    filesystem, path = fsspec.url_to_fs(output.url)
    with filesystem.open(path, "rb", block_size=1 << 16) as file:
        length = int.from_bytes(file.read(8), "little")
        file.seek(8 + 8 * index)
        start, stop = np.frombuffer(file.read(16), "<u8").tolist()
        file.seek(8 + 8 * length + start)
        return np.frombuffer(file.read(stop - start), dtype)


def join_folder(stage_folder: str) -> str:
    """Where a stage keeps its key files; they go when the stage is published."""
    return join_url(stage_folder, "join")
