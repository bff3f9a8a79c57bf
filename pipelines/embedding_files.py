"""A build's CLIP embeddings as the files that other programs read.

npy      as clip-retrieval writes them, a file of each for every unit that has any:
         img_emb/img_emb_00000.npy, text_emb/text_emb_00000.npy (float16 [rows, numbers]) and
         metadata/metadata_00000.parquet, row i of which is row i of the two
parquet  embeddings_00000.parquet: the same columns, and the two embeddings as lists
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.signals.clip import EMBEDDINGS
from pipelines.commit import put_bytes
from tokens.manifest import KEPT, FileEntry, Manifest, join_url, read_manifest, read_table

IMAGE, TEXT = EMBEDDINGS
PROVENANCE = ("url", "caption", "license")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    rows: int
    files: int


def export_embeddings(
    directory: str, out: str, file_format: str, *, kept_only: bool = False
) -> Exported:
    """Write every stored embedding of a build, unit by unit, in input order.

    Args:
        directory: a build's folder, built at least `--until score`.
        out: a folder that is empty or not there yet, local or fsspec URL.
        file_format: npy or parquet.
        kept_only: leave out what select has dropped.

    Raises:
        FileNotFoundError: a stage has not run in `directory`.
        ValueError: the build stores no embeddings, or `out` is not empty.
    """
    _refuse_files(out)
    rows = files = 0
    for table in _read_units(directory, kept_only):
        for name, data in WRITERS[file_format](table, f"{files:05d}"):
            put_bytes(join_url(out, name), data)
        rows, files = rows + len(table), files + 1
    return Exported(rows, files)


def _refuse_files(out: str) -> None:
    filesystem, path = fsspec.url_to_fs(out)
    if filesystem.exists(path) and filesystem.ls(path):
        raise ValueError(f"{out} is not empty, and its files would be taken for ours; give another")


def _read_units(directory: str, kept_only: bool) -> Iterator[pa.Table]:
    """Provenance and both embeddings of each unit's pairs that have them."""
    folders = [join_url(directory, name) for name in ("pairs", "signals", "decisions")]
    manifests = [read_manifest(folder) for folder in folders[: 3 if kept_only else 2]]
    columns = manifests[1].recipe["score"]["signals"]
    if not set(EMBEDDINGS) <= set(columns):
        raise ValueError(
            f"{directory} stores no embeddings: give its recipe a table [score.clip] with "
            'store_embeddings = "fp16" and build again'
        )
    for entries in zip(*map(_by_index, manifests), strict=True):
        table = _read_unit(folders, entries)
        if len(table):
            yield table


def _by_index(manifest: Manifest) -> list[FileEntry]:
    return sorted(manifest.files, key=lambda entry: entry.index)


def _read_unit(folders: list[str], entries: tuple[FileEntry, ...]) -> pa.Table:
    pairs = read_table(folders[0], entries[0], PROVENANCE)
    signals = read_table(folders[1], entries[1], ("pair_id", *EMBEDDINGS))
    wanted = pc.and_(*(signals[name].is_valid() for name in EMBEDDINGS))
    if len(entries) > 2:
        reason = read_table(folders[2], entries[2], ("reason",))["reason"]
        wanted = pc.and_(wanted, pc.equal(reason, KEPT))
    names = pa.array([one.hex() for one in signals["pair_id"].to_pylist()], pa.string())
    columns = {"image_path": names} | {name: pairs[name] for name in PROVENANCE}
    return pa.table(columns | {name: signals[name] for name in EMBEDDINGS}).filter(wanted)


def _write_npy(table: pa.Table, number: str) -> Iterator[tuple[str, bytes]]:
    for name, embeddings in (("img_emb", table[IMAGE]), ("text_emb", table[TEXT])):
        sink = io.BytesIO()
        np.save(sink, _as_matrix(embeddings), allow_pickle=False)
        yield f"{name}/{name}_{number}.npy", sink.getvalue()
    metadata = table.drop_columns(list(EMBEDDINGS))
    yield f"metadata/metadata_{number}.parquet", _as_parquet(metadata)


def _write_parquet(table: pa.Table, number: str) -> Iterator[tuple[str, bytes]]:
    yield f"embeddings_{number}.parquet", _as_parquet(table)


def _as_matrix(embeddings: pa.ChunkedArray) -> npt.NDArray[np.float16]:
    numbers = embeddings.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    matrix: npt.NDArray[np.float16] = numbers.reshape(len(embeddings), -1)
    return matrix


def _as_parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


WRITERS: dict[str, Callable[[pa.Table, str], Iterator[tuple[str, bytes]]]] = {
    "npy": _write_npy,
    "parquet": _write_parquet,
}
"""The files of one unit: names below the folder, and content."""
