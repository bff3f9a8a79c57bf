"""A WebDataset tar: files that follow one another and share a name up to its first dot are a row.

    000000017.jpg    the picture, by its ending
    000000017.txt    its caption
    000000017.json   or its caption, URL, licence and more, by the columns' names

(https://github.com/webdataset/webdataset; OpenCLIP, DataComp and img2dataset write it so.)
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import IO, Any

import fsspec

from pipelines.inputs.face_boxes import read_boxes
from pipelines.inputs.picture_folder import PICTURE_ENDINGS
from pipelines.inputs.source import Row, Source
from pipelines.inputs.source_rows import choose_caption, read_side
from pipelines.inputs.source_tables import as_text
from pipelines.inputs.tar_members import Member, read_member, walk_tar

KEY_AND_ENDING = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
MAX_TEXT_BYTES = 1 << 20
"""A longer text is no caption; it is not read."""
CAPTION = "txt"
"""The column that a .txt file fills."""


def read_webdataset(source: Source) -> Iterator[Row]:
    """A row for each key, in the tar's order.

    Raises:
        ValueError: the file is no tar, or is damaged before its end.
    """
    filesystem, path = fsspec.url_to_fs(source.url)
    with filesystem.open(path, "rb") as file:
        keyed = filter(None, map(_split, walk_tar(file, source.url)))
        for key, group in groupby(keyed, key=lambda one: one[0]):
            parts: dict[str, Member] = {}
            for _, ending, member in group:
                parts.setdefault(ending, member)
            yield _make_row(file, source, key, parts)


def _split(member: Member) -> tuple[str, str, Member] | None:
    """Key, ending and member; None for a hidden file and what has no ending."""
    found = KEY_AND_ENDING.fullmatch(member.name)
    return None if found is None else (found[1], found[2].lower(), member)


def _make_row(file: IO[bytes], source: Source, key: str, parts: Mapping[str, Member]) -> Row:
    told, columns = _read_json(file, parts.get("json")), source.columns
    texts = {CAPTION: _read_text(file, parts.get(CAPTION))}
    names = columns.captions if CAPTION in columns.captions else (*columns.captions, CAPTION)
    captions = [texts.get(name) or _cell(told, name) for name in names]
    tar = source.url.rpartition("/")[2]
    row = Row(
        _cell(told, columns.url) or source.place_of(tar, key).encode("utf-8", "surrogateescape"),
        choose_caption(captions),
        _cell(told, columns.license),
        original_width=read_side(_cell(told, "original_width")),
        original_height=read_side(_cell(told, "original_height")),
        face_boxes=read_boxes(_cell(told, columns.face_boxes)),
    )
    picture = next((parts[ending] for ending in parts if ending in PICTURE_ENDINGS), None)
    if picture is None:
        return row._replace(outcome="not_an_image", signal=f"no picture beside {', '.join(parts)}")
    return row._replace(shard=tar, member=f"tar:{picture.offset}")


def _read_text(file: IO[bytes], member: Member | None) -> bytes | None:
    if member is None or member.size > MAX_TEXT_BYTES:
        return None
    text = read_member(file, member.offset, MAX_TEXT_BYTES)
    return None if text is None else text.strip()


def _read_json(file: IO[bytes], member: Member | None) -> Mapping[str, Any]:
    """What a JSON file says; nothing where it is broken, as where there is none."""
    try:
        told = json.loads(_read_text(file, member) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _cell(told: Mapping[str, Any], name: str) -> bytes | None:
    text = as_text(told.get(name))
    return None if text is None else text.encode("utf-8", "surrogatepass")
