"""What --input names: files, folders, patterns and lists of sources, in order, each under a name.

A list of sources is a TOML file:

    [[source]]
    input = "cc12m.tsv"                   # beside the list, or any path or fsspec URL or pattern
    dialect = "cc12m"
    license = "as found on the web"       # of every row that names none itself

    [[source]]
    name = "museum"
    input = "s3://bucket/museum/*.parquet"
    image_column = "image"
    caption_columns = ["title", "description", "alt_text"]    # the first that is not empty
"""

import argparse
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import fsspec

from pipelines.inputs.dialects import ANY, DIALECTS, Columns, Dialect
from pipelines.inputs.source import IMG2DATASET_PART, WILD, Source, base_name
from pipelines.toml_tables import nearest, read_table
from tokens.manifest import join_url

LIST_ENDING = ".toml"
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""The table of a Hugging Face ImageFolder, which names the folder's pictures ..."""
METADATA_IMAGE = "file_name"
"""... in this column (https://huggingface.co/docs/datasets/image_dataset)."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One source as it is asked for; what is not said is as the dialect has it."""

    input: str = ""
    """File, folder, or pattern with * ? [...] over files; relative paths begin at the list."""
    name: str | None = None
    """What it is called in every table; the file's or folder's name by default."""
    dialect: str | None = None
    """One of DIALECTS."""
    license: str | None = None
    """Of the rows that name none themselves."""
    url_column: str | None = None
    """Holds the picture's URL."""
    caption_columns: tuple[str, ...] | None = None
    """In order of preference: the first that is not empty is the caption."""
    license_column: str | None = None
    """Holds a row's own licence."""
    image_column: str | None = None
    """Holds the picture, or names its file: nothing is fetched."""
    face_boxes_column: str | None = None
    """Holds lists of [x0, y0, x1, y1], in shares of the picture's size."""

    def __post_init__(self) -> None:
        if not self.input:
            raise ValueError('names no input; give input = "FILE, FOLDER or PATTERN"')
        if self.dialect is not None and self.dialect not in DIALECTS:
            raise ValueError(
                f"dialect is {self.dialect!r}, which is none; "
                f"the nearest is {nearest(self.dialect, DIALECTS)!r}"
            )
        if self.caption_columns == ():
            raise ValueError("caption_columns is empty; name a column, or leave the key out")

    @property
    def spoken(self) -> Dialect:
        """The dialect that was named, or that of any table."""
        return DIALECTS[self.dialect] if self.dialect else ANY

    @property
    def columns(self) -> Columns:
        """The dialect's, where nothing else is said."""
        said: dict[str, Any] = {
            "url": self.url_column,
            "captions": self.caption_columns,
            "license": self.license_column,
            "image": self.image_column,
            "face_boxes": self.face_boxes_column,
        }
        return replace(self.spoken.columns, **{k: v for k, v in said.items() if v is not None})


def settle_sources(args: argparse.Namespace) -> tuple[Source, ...]:
    """Every file or folder that the command line names, a pattern's in the order of their names.

    Raises:
        ValueError: a list that is none, a pattern that matches nothing, a name given twice.
    """
    flags = _read_flags(args)
    if flags and all(url.endswith(LIST_ENDING) for url in args.input):
        flag = next(iter(flags)).replace("columns", "column")
        raise ValueError(f"--{flag} is for plain inputs: say it in the list of sources")
    listed = [one for url in args.input for one in _read_input(url, flags)]
    names = _settle_names(listed)
    return tuple(
        source for one, name in zip(listed, names, strict=True) for source in _find_files(one, name)
    )


def _read_flags(args: argparse.Namespace) -> dict[str, Any]:
    """What the command line says of plain inputs, by the names of `Listed`."""
    said = {
        "dialect": args.dialect,
        "url_column": args.url_column,
        "caption_columns": tuple(args.caption_column or ()),
        "image_column": args.image_column,
    }
    return {name: value for name, value in said.items() if value}


def _read_input(url: str, flags: dict[str, Any]) -> list[Listed]:
    return read_list(url) if url.endswith(LIST_ENDING) else [Listed(url, **flags)]


def read_list(url: str) -> list[Listed]:
    """The sources of a TOML list.

    Raises:
        ValueError: it is not there, no TOML, or says what no source can be; names the place.
    """
    try:
        with fsspec.open(url, "rb") as file:
            document = tomllib.load(file)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as err:
        raise ValueError(f"{url} cannot be read as a list of sources: {err}") from err
    tables = document.pop("source", None)
    if not isinstance(tables, list) or not tables or document:
        raise ValueError(f"{url} is a list of sources: give [[source]] tables and nothing else")
    folder = url.rpartition("/")[0]
    read = [read_table(Listed, table, f"{url} source {n}") for n, table in enumerate(tables, 1)]
    return [replace(one, input=_beside(folder, one.input)) for one in read]


def _beside(folder: str, path: str) -> str:
    return path if not folder or "://" in path or path.startswith("/") else join_url(folder, path)


def _settle_names(listed: Sequence[Listed]) -> list[str]:
    """A name for each, no two the same: the second "urls.csv" is "urls.csv (2)"."""
    given = Counter(one.name for one in listed if one.name is not None)
    for name, times in given.items():
        if times > 1:
            raise ValueError(f"two sources are called {name!r}: every table tells them by name")
    used: Counter[str] = Counter(given.keys())
    return [one.name or _next_name(base_name(one.input) or "input", used) for one in listed]


def _next_name(name: str, used: Counter[str]) -> str:
    fresh = name
    while used[fresh]:
        used[name] += 1
        fresh = f"{name} ({used[name]})"
    used[fresh] += 1
    return fresh


def _find_files(listed: Listed, name: str) -> Iterator[Source]:
    columns, dialect = listed.columns, listed.spoken
    for url in _match(listed.input):
        table = None if columns.image else _find_metadata(url)
        if table:
            columns = replace(columns, image=METADATA_IMAGE)
        source = Source(table or url, columns, dialect, name, listed.license)
        if "::" in url and source.holds_pictures:
            raise ValueError(f"{url} holds pictures inside an archive: unpack it first")
        yield source


def _match(url: str) -> list[str]:
    """The file or folder itself, or what a pattern matches, sorted."""
    filesystem, path = fsspec.url_to_fs(url)
    if not WILD.search(path) or filesystem.exists(path):
        return [url]
    found = sorted(filesystem.glob(path))
    if not found:
        raise ValueError(f"{url} matches nothing: give a pattern that files are called by")
    if "://" not in url:
        return found
    _, chain, inside = url.partition("::")  # zip://*.csv::s3://bucket/tables.zip
    return [filesystem.unstrip_protocol(file) + chain + inside for file in found]


def _find_metadata(url: str) -> str | None:
    """The table of an ImageFolder; None for what is none."""
    filesystem, path = fsspec.url_to_fs(url)
    if filesystem.isfile(path) or not filesystem.isdir(path):
        return None
    names = {file.rstrip("/").rpartition("/")[2] for file in filesystem.ls(path, detail=False)}
    if any(map(IMG2DATASET_PART.fullmatch, names)):
        return None
    return next((join_url(url, name) for name in METADATA if name in names), None)
