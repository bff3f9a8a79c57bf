"""What an input is, and what a row of it is before the web was asked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import fsspec

from pipelines.inputs.dialects import ANY, Columns, Dialect

FORMATS = {
    "csv": "csv",
    "tsv": "tsv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "parquet": "parquet",
    "tar": "webdataset",
}
"""How a file is read, by how its name ends."""
PACKED = (".gz", ".bz2", ".xz", ".zst")
"""Endings that may follow: fsspec unpacks by them."""
IMG2DATASET_PART = re.compile(r"[0-9]+(\.parquet|\.tar|\.tfrecord|_stats\.json)")
"""How a file is called in a folder that img2dataset wrote."""
WILD = re.compile(r"[*?\[]")

Cell = bytes | str | None
"""A table's cell; bytes where it cannot be known that they are UTF-8."""


class Row(NamedTuple):
    """What a source says of one pair."""

    url: Cell
    caption: Cell
    license: Cell = None
    expected_hash: str | None = None
    """ "sha256:<hex>" or "md5:<hex>" of the picture's bytes."""
    outcome: str | None = None
    """How the row has ended before anything is fetched; None: it has not."""
    signal: str | None = None
    shard: str | None = None
    """Below the source's folder, what holds the picture already; None: nothing does."""
    member: str | None = None
    """Which picture of the shard, as `stored_pictures.py` reads it."""
    original_width: int | None = None
    """Pixels of the picture before an earlier fetch shrank it; None: not known."""
    original_height: int | None = None
    face_boxes: tuple[float, ...] | None = None
    """As `face_boxes.read_boxes` gives them."""
    declared_width: int | None = None
    """Pixels, as the source says of a picture that nobody has decoded yet."""
    declared_height: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One input file or folder; several of one name are the parts of one listed source."""

    url: str
    columns: Columns = field(default_factory=Columns)
    dialect: Dialect = ANY
    name: str = ""
    """What it is called in every table; "" for what its URL ends in."""
    license: str | None = None
    """Of the rows that name none themselves."""

    @property
    def is_folder(self) -> bool:
        """Looks at the file system."""
        filesystem, path = fsspec.url_to_fs(self.url)
        return not filesystem.isfile(path) and bool(filesystem.isdir(path))

    @property
    def format(self) -> str:
        """csv, tsv, jsonl, parquet or webdataset; img2dataset or pictures for a folder."""
        if self.is_folder:
            return self._folder_format()
        return self.dialect.format or self._file_format()

    def _folder_format(self) -> str:
        filesystem, path = fsspec.url_to_fs(self.url)
        files = filesystem.ls(path, detail=False)
        parts = any(IMG2DATASET_PART.fullmatch(base_name(file)) for file in files)
        return "img2dataset" if parts else "pictures"

    def _file_format(self) -> str:
        whole = name = self.url.partition("::")[0]  # of a file inside an archive, the file's
        for packed in PACKED:
            name = name.removesuffix(packed)
        ending = name.rpartition(".")[2].lower()
        if ending not in FORMATS:
            raise ValueError(
                f"{self.url}: the ending .{ending} is none of .csv .tsv .jsonl .parquet .tar "
                "(.gz, .bz2, .xz and .zst may follow those of tables); rename the file after what "
                "it holds, or name its --dialect"
            )
        if ending == "tar" and name != whole:
            raise ValueError(f"{self.url} is a packed tar, whose members have no place: unpack it")
        return FORMATS[ending]

    @property
    def holds_pictures(self) -> bool:
        """Whether its pictures are files, members or cells of it; looks at the file system."""
        return self.columns.image is not None or self.format in ("pictures", "webdataset")

    @property
    def folder(self) -> str:
        """fsspec URL of the folder that shards lie in; looks at the file system."""
        if self.is_folder:
            return self.url
        parent, slash, _ = self.url.rpartition("/")
        return parent or slash or "."

    @property
    def label(self) -> str:
        """Its name, or that of the file or folder that its URL names."""
        return self.name or base_name(self.url) or "input"

    def place_of(self, *parts: str) -> str:
        """What stands for the URL of a picture that has none: it must differ from all others'."""
        return "/".join([self.label, *(part for part in parts if part != self.label)])


def base_name(url: str) -> str:
    """The last part of a path or URL that is no pattern: what a whole glob can be called, too.

    >>> base_name("s3://bucket/laion/part-*.parquet")
    'laion'
    """
    parts = [part for part in url.partition("://")[2 if "://" in url else 0].split("/") if part]
    return next((part for part in reversed(parts) if not WILD.search(part) and part != "."), "")


def find_column(header: Sequence[str], name: str, where: str) -> int:
    """The place of a column; raises ValueError that names the columns there are."""
    if name not in header:
        raise ValueError(
            f"{where} has no column {name!r}; it has "
            f"{', '.join(map(repr, header)) or 'none'}: "
            "name the right ones with --url_column and --caption_column, or its --dialect"
        )
    return list(header).index(name)
