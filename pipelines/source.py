"""What an input is, and what a row of it is before the web was asked."""

from dataclasses import dataclass, field
from typing import NamedTuple

import fsspec

FORMATS = {
    "csv": "csv",
    "tsv": "tsv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "parquet": "parquet",
}
"""How a table is read, by how its name ends."""

Cell = bytes | str | None
"""A table's cell; bytes where it cannot be known that they are UTF-8."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns that a source table has."""

    url: str = "url"
    caption: str = "caption"
    license: str = "license"


class Row(NamedTuple):
    """What a source says of one pair."""

    url: Cell
    caption: Cell
    license: Cell = None
    expected_hash: str | None = None
    """ "sha256:<hex>" or "md5:<hex>" of the picture's bytes."""
    outcome: str | None = None
    """How an earlier fetch failed; None: it did not fail, or there was none."""
    signal: str | None = None
    shard: str | None = None
    """Name, in the source's folder, of what holds the picture already."""
    member: str | None = None
    """Which picture of the shard; no two rows of a shard have the same."""
    original_width: int | None = None
    """Pixels of the picture before an earlier fetch shrank it; None: not known."""
    original_height: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One input: a table, or a folder that img2dataset wrote."""

    url: str
    columns: Columns = field(default_factory=Columns)

    @property
    def is_folder(self) -> bool:
        """Looks at the file system."""
        filesystem, path = fsspec.url_to_fs(self.url)
        return not filesystem.isfile(path) and bool(filesystem.isdir(path))

    @property
    def format(self) -> str:
        """img2dataset for a folder; csv, tsv, jsonl or parquet by the file's name (.gz and .zst
        aside)."""
        if self.is_folder:
            return "img2dataset"
        name = self.url.removesuffix(".gz").removesuffix(".zst")
        ending = name.rpartition(".")[2].lower()
        if ending not in FORMATS:
            raise ValueError(
                f"{self.url}: the ending .{ending} is none of .csv .tsv .jsonl .parquet "
                "(.gz and .zst may follow); rename the file after what it holds"
            )
        return FORMATS[ending]


def find_column(header: list[str], name: str, where: str) -> int:
    """The place of a column; raises ValueError that names the columns there are."""
    if name not in header:
        raise ValueError(
            f"{where} has no column {name!r}; it has "
            f"{', '.join(map(repr, header)) or 'none'}: "
            "name the right ones with --url_column and --caption_column"
        )
    return header.index(name)
