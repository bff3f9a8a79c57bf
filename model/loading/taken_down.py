"""Pairs that a build has taken down, so that a trainer never reads one that is still there.

A purge writes its tombstones first and new shards after. Between the two, and where old shards
were put back from a copy, a tokens folder holds pairs that must not be trained on.
"""

import posixpath

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

TOMBSTONES_NAME = "tombstones.parquet"
"""In the build's folder, beside the tokens folder; columns `kind` and `digest`."""


class TakenDown:
    """The `pair_id`s of a build's tombstones."""

    def __init__(self, folder: str) -> None:
        """
        Args:
            folder: tokens folder; where no tombstones lie beside it, none hold.

        Raises:
            ValueError: there is such a file, and it cannot be read as tombstones.
        """
        filesystem, path = fsspec.url_to_fs(folder)
        name = posixpath.join(posixpath.dirname(path.rstrip("/")), TOMBSTONES_NAME)
        digests: list[bytes] = []
        try:
            if filesystem.exists(name):
                with filesystem.open(name, "rb") as file:
                    marks = pq.read_table(file, columns=["kind", "digest"])
                digests = marks.filter(pc.equal(marks["kind"], "pair_id"))["digest"].to_pylist()
        except (pa.ArrowException, OSError) as err:
            raise ValueError(f"{name} cannot be read as tombstones: {err}") from err
        self._digests = frozenset(digests)
        # eight bytes of each, in order: found among by bisection, then compared in full
        self._starts = np.sort(np.array([digest[:8] for digest in digests], "V8").view("<u8"))

    def check(self, pair_ids: npt.NDArray[np.void], name: str) -> None:
        """Raises ValueError, naming `name`, where one of `pair_ids` (16 bytes) is taken down."""
        if not self._digests:
            return
        starts = np.ascontiguousarray(pair_ids).view("<u8")[::2]
        place = np.searchsorted(self._starts, starts).clip(max=len(self._starts) - 1)
        for index in np.flatnonzero(self._starts[place] == starts):
            if (pair_id := bytes(pair_ids[index])) in self._digests:
                raise ValueError(
                    f"{name} holds pair {pair_id.hex()}, which has been taken down: finish "
                    "pipelines.purge on that build, or put its newest tokens back"
                )
