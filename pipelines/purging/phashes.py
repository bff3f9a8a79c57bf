"""The perceptual hashes that the score stage has taken of a build's pictures, unit by unit."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.commit import current_manifest, hash_entries
from pipelines.corpus import FOLDERS
from pipelines.web.look_alikes import PHASH
from tokens.manifest import FileEntry, join_url, read_table


@dataclass(frozen=True, slots=True)
class Column:
    """A unit's signals, which hold a column of hashes."""

    folder: str
    entry: FileEntry


def find_columns(directory: str) -> dict[str, Column]:
    """By the URL of a unit's pairs; none where score has not measured just these pairs."""
    pairs_folder, folder = (join_url(directory, FOLDERS[stage]) for stage in ("fetch", "score"))
    pairs, signals = current_manifest(pairs_folder), current_manifest(folder)
    if pairs is None or signals is None:
        return {}
    measured = signals.recipe.get("score", {}).get("signals", ())
    if PHASH not in measured or signals.inputs.get("pairs") != hash_entries(pairs.files):
        return {}
    return {
        join_url(pairs_folder, unit.name): Column(folder, entry)
        for unit, entry in zip(pairs.files, signals.files, strict=True)
    }


def read_column(column: Column) -> Iterator[dict[str, bytes]]:
    """Per row the hash of its picture, as `look_alikes.hash_picture` would take it."""
    for value in read_table(column.folder, column.entry, (PHASH,))[PHASH].to_pylist():
        yield {} if value is None else {PHASH: value.to_bytes(8, "big")}
