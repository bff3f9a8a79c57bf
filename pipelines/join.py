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

ROWS_PER_BUCKET = 1 << 21

Keys = npt.NDArray[np.void]


def choose_buckets(rows: int) -> int:
    """A power of two, so that a bucket holds about two million keys."""
    return 1 << max(0, (rows - 1).bit_length() - ROWS_PER_BUCKET.bit_length() + 1)


def make_keys(digests: pa.Array, unit: int, flags: npt.NDArray[np.uint8]) -> Keys:
    """Key records of 16-byte digests, one per row of a unit, in row order."""
    halves = np.frombuffer(b"".join(digests.to_pylist()), ">u8").reshape(-1, 2)
    keys = np.zeros(len(halves), KEY)
    keys["high"], keys["low"] = halves[:, 0], halves[:, 1]
    keys["unit"], keys["row"], keys["flag"] = unit, np.arange(len(halves)), flags
    return keys


def bucket_of(keys: Keys, buckets: int) -> npt.NDArray[np.int64]:
    """Which bucket each key falls into: its first bits."""
    bits = buckets.bit_length() - 1
    return (keys["high"] >> np.uint64(63 - bits) >> np.uint64(1)).astype(np.int64)


def scatter(sink: IO[bytes], keys: Keys, buckets: int) -> None:
    """Write keys bucket after bucket behind a table of where each bucket starts."""
    order = np.argsort(bucket_of(keys, buckets), kind="stable")
    counts = np.bincount(bucket_of(keys, buckets), minlength=buckets)
    _write_slices(sink, keys[order], counts)


def gather(outputs: Sequence[Output], bucket: int) -> Keys:
    """All keys of one bucket, in the order of the units."""
    parts = [_read_slice(output.url, bucket, KEY) for output in outputs]
    return np.concatenate([np.empty(0, KEY), *parts])


def write_answers(sink: IO[bytes], rows: Keys, units: int) -> None:
    """Write which (unit, row) a bucket speaks of, unit after unit, `units` in number."""
    order = np.lexsort((rows["row"], rows["unit"]))
    _write_slices(sink, rows["row"][order], np.bincount(rows["unit"], minlength=units))


def read_answers(outputs: Sequence[Output], unit: int) -> npt.NDArray[np.uint32]:
    """The rows of one unit that any bucket speaks of."""
    parts = [_read_slice(output.url, unit, np.dtype("<u4")) for output in outputs]
    return np.concatenate([np.empty(0, "<u4"), *parts])


def _write_slices(sink: IO[bytes], values: npt.NDArray[Any], counts: npt.NDArray[Any]) -> None:
    starts = np.concatenate([[0], np.cumsum(counts)]).astype("<u8")
    sink.write(np.uint64(len(starts)).astype("<u8").tobytes())
    sink.write(starts.tobytes())
    sink.write(values.tobytes())


def _read_slice(url: str, index: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Slice `index` of a file that `_write_slices` wrote, by two range reads."""
    filesystem, path = fsspec.url_to_fs(url)
    with filesystem.open(path, "rb", block_size=1 << 16) as file:
        length = int.from_bytes(file.read(8), "little")
        file.seek(8 + 8 * index)
        start, stop = np.frombuffer(file.read(16), "<u8").tolist()
        file.seek(8 + 8 * length + start * dtype.itemsize)
        return np.frombuffer(file.read((stop - start) * dtype.itemsize), dtype)


def join_folder(stage_folder: str) -> str:
    """Where a stage keeps its key files; they go when the stage is published."""
    return join_url(stage_folder, "join")
