"""Embeddings between Parquet's lists and numpy's rows."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Vectors = npt.NDArray[np.float32]


def as_vectors(column: pa.ChunkedArray) -> Vectors:
    """Lists of halves, equally long, as [N, D] of length 1; a null is all zeros, like nothing."""
    array = column.combine_chunks()
    there = array.is_valid().to_numpy(zero_copy_only=False)
    values = array.drop_null().flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    width = len(values) // max(1, int(there.sum()))
    vectors = np.zeros((len(array), width), np.float32)
    vectors[there] = values.reshape(-1, width) if width else 0
    return normalise(vectors)


def normalise(vectors: npt.NDArray[Any]) -> Vectors:
    """Rows as float32 of length 1; zeros stay zeros."""
    wide = vectors.astype(np.float32)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.maximum(lengths, 1e-12), np.float32)
