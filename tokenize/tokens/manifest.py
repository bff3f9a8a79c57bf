"""The manifest of a stage: what its files are, what they were made of, and what they hold.

Readers open files that the manifest names and no others; a folder's listing is never read.
A manifest holds no time, host or path, so that the same input gives the same bytes anywhere.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MANIFEST_NAME = "manifest.json"
FORMAT = 1
KEPT = "kept"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One committed file, and the counts of what its rows are."""

    name: str
    """Path below the stage's folder, with forward slashes."""
    group: str
    """The series that the file belongs to, for example "train/view0"; "" where there is one."""
    index: int
    """Position in its series."""
    rows: int
    bytes: int
    sha256: str
    """Hex digest of the whole file."""
    counts: dict[str, int] = field(default_factory=dict)
    """Rows per outcome."""
    splits: dict[str, int] = field(default_factory=dict)
    """Kept rows per split, where select has decided it."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A stage's committed state: one immutable generation of it."""

    stage: str
    generation: int
    files: tuple[FileEntry, ...]
    counts: dict[str, int]
    """Rows per outcome over all files."""
    recipe: dict[str, Any]
    """The whole recipe, as it was when this generation was made."""
    section_sha256: str
    """Hash of what decides this stage's bytes: recipe sections, tokenizers, numerics."""
    inputs: dict[str, Any]
    """Hashes of what the stage read."""
    details: dict[str, Any] = field(default_factory=dict)
    """What only this stage has to say, for example vocabulary sizes."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of the software that decides the bytes."""

    @property
    def rows(self) -> int:
        return sum(entry.rows for entry in self.files)

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in self.files)

    @property
    def splits(self) -> dict[str, int]:
        """Kept rows per split over all files."""
        total: dict[str, int] = {}
        for entry in self.files:
            for split, rows in entry.splits.items():
                total[split] = total.get(split, 0) + rows
        return total

    def group(self, name: str) -> tuple[FileEntry, ...]:
        """The files of one series, in order."""
        return tuple(entry for entry in self.files if entry.group == name)

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT} | asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, origin: str = "manifest") -> "Manifest":
        """Raises ValueError, naming `origin`, when the text is not a manifest of this format."""
        try:
            document = json.loads(text)
            if document.pop("format") != FORMAT:
                raise ValueError(f"format is not {FORMAT}")
            files = tuple(FileEntry(**entry) for entry in document.pop("files"))
            return cls(files=files, **document)
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            raise ValueError(f"{origin} is not a pairmill manifest ({err})") from err

    def numbered(self, generation: int) -> "Manifest":
        return replace(self, generation=generation)


def join_url(*parts: str) -> str:
    """Join parts of an fsspec URL with single slashes."""
    head, *tail = parts
    return "/".join([head.rstrip("/"), *(part.strip("/") for part in tail)])


def read_manifest(folder: str) -> Manifest:
    """The current manifest of a stage's folder.

    Raises:
        FileNotFoundError: the folder has no manifest: the stage never finished there.
        ValueError: the file is there and is not a manifest.
    """
    url = join_url(folder, MANIFEST_NAME)
    try:
        return read_manifest_file(url)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{url} is not there: the stage has not finished in that folder; "
            "run pipelines.build on it"
        ) from None


def read_manifest_file(url: str) -> Manifest:
    """A manifest by its own name, an earlier generation's too.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is there and is not a manifest.
    """
    filesystem, path = fsspec.url_to_fs(url)
    try:
        text = filesystem.cat_file(path).decode()
    except UnicodeDecodeError as err:
        raise ValueError(f"{url} is not a pairmill manifest ({err})") from err
    return Manifest.from_json(text, url)


def read_table(folder: str, entry: FileEntry, columns: Sequence[str] | None = None) -> pa.Table:
    """One committed Parquet file, its page checksums verified."""
    filesystem, path = fsspec.url_to_fs(join_url(folder, entry.name))
    with filesystem.open(path, "rb") as file:
        # Not pq.read_table: that imports pyarrow.dataset, for no use of one file.
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        return parquet.read() if columns is None else parquet.read(list(columns)).select(columns)


def kept_pairs(
    directory: str,
    split: str | None = None,
    columns: Sequence[str] = ("pair_id", "caption", "image"),
) -> Iterator[pa.Table]:
    """The pairs that a build kept, unit by unit, in input order.

    Args:
        directory: a build's output folder, built at least `--until select`.
        split: "train" or "val"; both when None.
        columns: columns of the fetch stage's files; `image` holds encoded JPEG or PNG bytes.
    """
    pairs_url, decisions_url = join_url(directory, "pairs"), join_url(directory, "decisions")
    pairs, decisions = read_manifest(pairs_url), read_manifest(decisions_url)
    by_index = {entry.index: entry for entry in pairs.files}
    for entry in decisions.files:
        decided = read_table(decisions_url, entry, ("reason", "split"))
        kept = pc.equal(decided["reason"], KEPT)
        if split is not None:
            kept = pc.and_(kept, pc.equal(decided["split"], split))
        yield read_table(pairs_url, by_index[entry.index], columns).filter(kept)
