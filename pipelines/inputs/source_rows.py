"""The wanted cells of a table's row, whatever the table is written in, to a `Row`."""

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from pipelines.inputs.face_boxes import read_boxes
from pipelines.inputs.source import Cell, Row, Source, find_column

DIGEST_BYTES = {"sha256": 32, "md5": 16}
"""Columns that hold digests, and how long those are; the first that has one counts."""
SIDE = re.compile(r"[1-9][0-9]{0,8}(\.0*)?")
"""A side in pixels; Parquet files that pandas wrote may have them as floats."""
THIS_FOLDER = "."
"""The shard of a picture that lies as a file in the source's folder."""


class RowMaker:
    """Takes the cells of `names`, in that order, where a table has them.

    Args:
        header: the table's columns; None: each row has its own, and any may be missing.
        holds_pictures: the source's image column holds bytes, not names of files.

    Raises:
        ValueError: a needed column is missing.
    """

    def __init__(
        self, source: Source, header: Sequence[str] | None, *, holds_pictures: bool = False
    ) -> None:
        columns, dialect = source.columns, source.dialect
        self._source, self._holds_pictures = source, holds_pictures
        if header is not None:
            for name in (columns.image or columns.url, *columns.captions):
                find_column(header, name, source.url)
        self._encoded = [name in dialect.plus_encoded for name in columns.captions]
        self._is_plain = self._encoded == [False]
        self._image = columns.image
        self._video = None if dialect.video is None else dialect.video[1].encode()
        wanted = (
            None if holds_pictures else columns.image,
            columns.url,
            columns.license,
            columns.width,
            columns.height,
            columns.face_boxes,
            dialect.video[0] if dialect.video else None,
            *DIGEST_BYTES,
            *columns.captions,
        )
        self.names = [name if header is None or name in header else None for name in wanted]
        """Columns; None for one that is not there or not wanted."""

    def __call__(self, cells: Sequence[Cell], place: int) -> Row:
        """The row at that place of its table, from 0."""
        image, url, licence, width, height, boxes, kind, sha256, md5, *captions = cells
        is_video = self._video is not None and _bytes(kind) == self._video
        row = Row(
            url,
            captions[0] if self._is_plain else self._choose(captions),
            licence,
            _name_digest((sha256, md5)) if sha256 or md5 else None,
            "video" if is_video else None,
            face_boxes=read_boxes(boxes) if boxes else None,
            declared_width=read_side(width),
            declared_height=read_side(height),
        )
        return row if self._image is None or is_video else self._at_hand(row, image, place)

    def _choose(self, captions: Sequence[Cell]) -> Cell:
        decoded = [
            unquote_to_bytes(_bytes(caption).replace(b"+", b" ")) if encoded else caption
            for caption, encoded in zip(captions, self._encoded, strict=True)
        ]
        return choose_caption(decoded)

    def _at_hand(self, row: Row, image: Cell, place: int) -> Row:
        """A digest column is left alone: it is often that of the picture before it was shrunk."""
        source, row = self._source, row._replace(expected_hash=None)
        if self._holds_pictures:
            name = source.url.rpartition("/")[2]
            url = row.url if row.url and row.url.strip() else source.place_of(name, str(place))
            return row._replace(url=url, shard=name, member=f"row:{place}:{self._image}")
        file = _bytes(image).decode("utf-8", "replace")
        url = row.url if row.url and row.url.strip() else source.place_of(file)
        if not file.strip():
            return row._replace(url=url, outcome="bad_url", signal="names no file")
        return row._replace(url=url, shard=THIS_FOLDER, member=f"file:{file}")


def choose_caption(captions: Sequence[Cell]) -> Cell:
    """The first caption that is not empty; the first one where all are."""
    return next((caption for caption in captions if caption and caption.strip()), captions[0])


def read_side(cell: Cell) -> int | None:
    """A side's length in pixels; None where the cell holds no sensible one."""
    if not cell:
        return None
    found = SIDE.fullmatch(_bytes(cell).decode("latin-1").strip())
    return None if found is None else int(found[0].partition(".")[0])


def _name_digest(cells: Sequence[Cell]) -> str | None:
    """ "sha256:<hex>" or "md5:<hex>" of the first cell that is not empty.

    What is no digest is kept as it stands: no picture can match it, so the row is refused where
    matches are required, and not let through unchecked.
    """
    for (algorithm, size), cell in zip(DIGEST_BYTES.items(), cells, strict=True):
        raw = _bytes(cell)
        text = raw.hex() if len(raw) == size else raw.decode("utf-8", "replace").strip().lower()
        if text:
            return f"{algorithm}:{text}"
    return None


def _bytes(cell: Cell) -> bytes:
    return cell.encode("utf-8", "replace") if isinstance(cell, str) else cell or b""
