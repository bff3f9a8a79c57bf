"""A row on its way through fetch: what it is before, what is put into it, and the table of them."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import xxhash

from pipelines.ledger import OK, TOMBSTONED

PAIRS_SCHEMA = pa.schema(
    [
        pa.field("source", pa.int32(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("pair_id", pa.binary(16), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("caption", pa.string(), nullable=False),
        pa.field("license", pa.string()),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("image", pa.binary()),  # as stored; the stored size follows
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("original_width", pa.int32()),  # upright, before it was shrunk
        pa.field("original_height", pa.int32()),
        pa.field("body_bytes", pa.int32()),  # OF_BODY: as fetched, before anything was changed
        pa.field("jpeg_quality", pa.uint8()),  # null too where there was no JPEG
        pa.field("transparency_ratio", pa.float32()),
        pa.field("animated", pa.bool_()),
        pa.field("pixel_hash", pa.binary(16)),
        pa.field("sha256", pa.binary(32)),  # of the bytes as fetched
        pa.field("url_final", pa.string()),
        pa.field("content_type", pa.string()),
        pa.field("http_status", pa.int32()),
        pa.field("robots", pa.string()),  # allowed, none or disallowed: what robots.txt said
        pa.field("signal", pa.string()),  # what decided, where the outcome alone does not say
        pa.field("hash_matches", pa.bool_()),  # null where the input names no digest
    ]
)
"""One row per input row; what only a picture has is null unless `outcome` is `ok`."""

OF_BODY = ("body_bytes", "jpeg_quality", "transparency_ratio", "animated")
"""Columns that only the bytes as fetched can fill: null where another program compressed them."""

FORGOTTEN = ("blocklist_hit", TOMBSTONED)
"""Outcomes of rows of which neither URL nor caption stays."""

BATCH_ROWS = 256

Pair = dict[str, Any]
"""One row of PAIRS_SCHEMA; what is absent is null."""


def make_pair_id(url: str, caption: str) -> bytes:
    """Sixteen bytes, the same in every build: xxh3-128 of URL, NUL and caption as given, UTF-8."""
    return xxhash.xxh3_128(url.encode() + b"\0" + caption.encode()).digest()


def make_pair(row: Mapping[str, Any]) -> Pair:
    """A row of ROWS_SCHEMA before it is fetched; `ok` where nothing speaks against fetching it."""
    url, caption = row["url"] or "", row["caption"] or ""
    return {
        "source": row["source"],
        "row": row["row"],
        "pair_id": row.get("pair_id") or make_pair_id(url, caption),
        "url": url,
        "caption": caption,
        "license": row["license"],
        "outcome": _judge_row(url, caption, row),
        "signal": row["signal"],
    }


def _judge_row(url: str, caption: str, row: Mapping[str, Any]) -> str:
    if row["outcome"] == TOMBSTONED:
        return TOMBSTONED
    if row["outcome"] == "video":
        return "video"  # whatever it is called: the source's own count is to be found again
    if row["invalid_utf8"]:
        return "caption_invalid_utf8"
    if not caption.strip():
        return "caption_empty"
    if row["outcome"] is not None:
        return str(row["outcome"])
    return OK if url.strip() or row["shard"] else "bad_url"


def settle(pair: Pair, found: Mapping[str, Any]) -> None:
    """Put what was found into the pair; of one that nobody may keep nothing stays."""
    pair.update(found)
    if pair["outcome"] in FORGOTTEN:
        pair.update(
            {"url": "", "caption": "", "license": None, "url_final": None, "content_type": None}
        )


def make_table(pairs: list[Pair]) -> pa.Table:
    batches = [
        pa.RecordBatch.from_pylist(pairs[start : start + BATCH_ROWS], schema=PAIRS_SCHEMA)
        for start in range(0, len(pairs), BATCH_ROWS)
    ]
    return pa.Table.from_batches(batches, schema=PAIRS_SCHEMA)
