"""Fetch: each row's picture out of the web, upright, RGB, shrunk and stored, or the reason why not.

The only stage that touches the network. Every input row comes out once, in its place, with one
outcome. The event loop fetches; a few threads decode, each holding one picture's pixels, and a
body is let go of as soon as it is decoded.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import xxhash

from pipelines import progress
from pipelines.commit import Output, Written, commit_table, hash_entries, unit_output
from pipelines.corpus import Build
from pipelines.imaging import DecodeLimits, StoredImage, decode_image, pixel_hash, store_image
from pipelines.ledger import FETCH_OUTCOMES, OK, count_outcomes
from pipelines.publishing import Generation, PublishFiles
from pipelines.refused import Refused
from pipelines.steps import Job, Step, Stopwatch
from pipelines.web.client import Fetched, fetch_each
from pipelines.web.settings import FetchSettings
from tokens.manifest import FileEntry, Manifest, join_url, read_table

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

BATCH_ROWS = 256

PACKAGES = ("aiohttp", "numpy", "opencv-python-headless", "pillow", "pyarrow", "xxhash")


def fetch_rows(
    rows: pa.Table, settings: FetchSettings, image: StoredImage, on_done: Callable[[int], None]
) -> pa.Table:
    """Fetch and store the picture of every row; row i of the answer is row i of `rows`.

    Args:
        rows: in ROWS_SCHEMA.
        on_done: called with 1 for each row that has ended, from the calling thread.

    Returns:
        A table in PAIRS_SCHEMA. A missing url or caption is written as an empty one.

    Raises:
        ContactRequired: an address outside the allowed networks would be dialled without a contact.
    """
    pairs = [_make_pair(row) for row in rows.to_pylist()]
    waiting = []
    for pair in pairs:
        if pair["outcome"] == OK:
            waiting.append(pair)
        else:
            on_done(1)
    asyncio.run(_fetch_pictures(waiting, settings, image, on_done))
    batches = [
        pa.RecordBatch.from_pylist(pairs[start : start + BATCH_ROWS], schema=PAIRS_SCHEMA)
        for start in range(0, len(pairs), BATCH_ROWS)
    ]
    return pa.Table.from_batches(batches, schema=PAIRS_SCHEMA)


def make_pair_id(url: str, caption: str) -> bytes:
    """Sixteen bytes, the same in every build: xxh3-128 of URL, NUL and caption as given, UTF-8."""
    return xxhash.xxh3_128(url.encode() + b"\0" + caption.encode()).digest()


def _make_pair(row: dict[str, Any]) -> dict[str, Any]:
    """A row before it is fetched; `outcome` is `ok` where nothing speaks against fetching it."""
    url, caption = row["url"] or "", row["caption"] or ""
    return {
        "source": row["source"],
        "row": row["row"],
        "pair_id": make_pair_id(url, caption),
        "url": url,
        "caption": caption,
        "license": row["license"],
        "outcome": _judge_row(url, caption, row["invalid_utf8"]),
    }


def _judge_row(url: str, caption: str, invalid_utf8: bool) -> str:
    if invalid_utf8:
        return "caption_invalid_utf8"
    if not caption.strip():
        return "caption_empty"
    return OK if url.strip() else "bad_url"


async def _fetch_pictures(
    pairs: list[dict[str, Any]],
    settings: FetchSettings,
    image: StoredImage,
    on_done: Callable[[int], None],
) -> None:
    """Fetch each pair's URL and put what came of it into the pair."""
    loop, limits = asyncio.get_running_loop(), DecodeLimits(settings.max_pixels)

    async def receive(index: int, fetched: Fetched) -> None:
        found = await loop.run_in_executor(threads, _describe, fetched, limits, image)
        pairs[index].update(found)
        on_done(1)

    with ThreadPoolExecutor(2, thread_name_prefix="decode") as threads:
        await fetch_each([pair["url"] for pair in pairs], settings, receive)


def _describe(fetched: Fetched, limits: DecodeLimits, image: StoredImage) -> dict[str, Any]:
    """The columns that a fetch gives: its outcome, and the picture's where there is one."""
    found = {
        "outcome": fetched.outcome,
        "url_final": fetched.url_final,
        "content_type": fetched.content_type,
        "http_status": fetched.http_status,
    }
    if fetched.body is None:
        return found
    try:
        return found | _store(fetched.body, limits, image)
    except Refused as refused:
        return found | {"outcome": refused.reason}


def _store(body: bytes, limits: DecodeLimits, image: StoredImage) -> dict[str, Any]:
    decoded = decode_image(body, limits)
    data, width, height = store_image(decoded.pixels, image.side_px, image.image_format)
    return {
        "image": data,
        "width": width,
        "height": height,
        "original_width": decoded.original_width,
        "original_height": decoded.original_height,
        "pixel_hash": pixel_hash(decoded.pixels),
        "sha256": hashlib.sha256(body).digest(),
    }


@dataclass(frozen=True, slots=True)
class FetchUnit:
    """One unit of input rows into one unit of pairs."""

    rows_folder: str
    folder: str
    section_sha256: str
    settings: FetchSettings
    image: StoredImage

    def output(self, item: FileEntry) -> Output:
        return unit_output(self.folder, item.index, self.section_sha256, item.sha256)

    def rows(self, item: FileEntry) -> int:
        return item.rows

    def __call__(self, item: FileEntry) -> None:
        watch = Stopwatch()
        rows = read_table(self.rows_folder, item)
        pairs = fetch_rows(rows, self.settings, self.image, progress.advance)
        side = {"seconds": watch.seconds()}
        written = Written(len(pairs), count_outcomes(pairs["outcome"]), side=side)
        commit_table(self.output(item), pairs, written)


def plan_fetch(build: Build, done: Mapping[str, Manifest]) -> Job:
    """The fetch stage: one step, a unit of pairs for each unit of rows."""
    rows, section = done["rows"], build.recipe.fetch
    guard = build.fetch.guard
    generation = Generation(
        stage="fetch",
        folder=build.folder("fetch"),
        recipe=build.recipe.to_dict(),
        section_sha256=build.recipe.section_sha256("fetch"),
        inputs={"rows": hash_entries(rows.files)},
        details={
            "allow_networks": list(guard.allow_networks),
            "allow_ports": list(guard.allow_ports),
            "sources": rows.inputs["sources"],
        },
        packages=PACKAGES,
    )
    work = FetchUnit(
        join_url(build.directory, "rows"),
        generation.folder,
        generation.section_sha256,
        build.fetch,
        StoredImage(section.stored_side_px, section.image_format),
    )
    return Job(
        (Step("Fetch Images", work, rows.files),),
        PublishFiles(
            generation, tuple(map(work.output, rows.files)), {"": rows.rows}, FETCH_OUTCOMES
        ),
    )
