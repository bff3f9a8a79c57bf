"""The rows that all programs get: a folder of pictures and its table of captions."""

import csv
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.decoding.picture import DecodeLimits, StoredImage
from pipelines.fetching.refused import Refused
from pipelines.imaging import make_picture
from pipelines.pairs import PAIRS_SCHEMA, make_pair_id


def read_pairs(pictures: Path, captions: Path) -> pa.Table:
    """A table of pairs as fetch writes it, of the rows whose picture is there and is taken.

    The table of captions has a `path` below the folder, or a `url` whose path is one.
    """
    with captions.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    found = [read_pair(pictures, row) for row in rows]
    return pa.Table.from_pylist([pair for pair in found if pair], schema=PAIRS_SCHEMA)


def read_pair(pictures: Path, row: dict[str, str]) -> dict[str, object] | None:
    path = row.get("path") or unquote(urlsplit(row["url"]).path).lstrip("/")
    file = pictures / path
    if not file.is_file() or not row["caption"].strip():
        return None
    body = file.read_bytes()
    try:
        picture = make_picture(body, DecodeLimits(), StoredImage())
    except Refused:
        return None
    return {
        "source": 0,
        "row": 0,
        "pair_id": make_pair_id(path, row["caption"]),
        "url": path,
        "caption": row["caption"],
        "outcome": "ok",
        "image": picture.image,
        "width": picture.width,
        "height": picture.height,
        "original_width": picture.original_width,
        "original_height": picture.original_height,
        "body_bytes": len(body),
        "jpeg_quality": picture.jpeg_quality,
        "transparency_ratio": picture.transparency_ratio,
        "animated": picture.animated,
        "pixel_hash": picture.pixel_hash,
    }


def write_for_peers(pairs: pa.Table, file: Path) -> None:
    """The columns of DataComp's metadata."""
    pq.write_table(
        pa.table(
            {
                "uid": [pair_id.as_py().hex() for pair_id in pairs["pair_id"]],
                "text": pairs["caption"],
                "original_width": pairs["original_width"],
                "original_height": pairs["original_height"],
            }
        ),
        file,
    )
