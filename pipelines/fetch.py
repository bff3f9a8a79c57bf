"""Fetch: each row's picture out of the web, upright, RGB, shrunk and stored, or the reason why not.

The only stage that touches the network. Every input row comes out once, in its place, with one
outcome. A process has a few units open at once (`max_open_items`), so that its places are taken
while one unit's slow hosts drain. A row whose picture its source holds (an earlier img2dataset
run's folder, a tar, a table, a folder of files) is read from there, and nothing is asked for.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import progress
from pipelines.commit import (
    Output,
    Written,
    commit_table,
    hash_entries,
    hash_file,
    unit_output,
)
from pipelines.corpus import Build
from pipelines.dead_letters import INTERNAL_ERROR, check_faults
from pipelines.decoding.picture import StoredImage
from pipelines.fetching.session import IMG2DATASET, FetchKit, FetchSession, OpenFetch, Wanted
from pipelines.inputs.face_boxes import are_sound
from pipelines.inputs.source import Source
from pipelines.inputs.stored_pictures import read_stored
from pipelines.ledger import FETCH_OUTCOMES, OK, count_outcomes
from pipelines.pairs import OF_BODY, Pair, make_pair, make_table, settle
from pipelines.publishing import Generation, PublishFiles
from pipelines.steps import Job, Session, Step, Stopwatch
from pipelines.web.fetched import Fetched
from tokens.manifest import FileEntry, Manifest, join_url, read_table

MAX_OPEN_UNITS = 4
"""Units that one process has open at once: each holds its stored pictures, 0.5 GB of 10,000."""

PACKAGES = (
    "aiohttp",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "pyarrow",
    "simplejpeg",
    "xxhash",
)


def fetch_rows(
    rows: pa.Table,
    session: FetchSession,
    on_done: Callable[[int], None],
    sources: Sequence[str] = (),
) -> pa.Table:
    """Fetch and store the picture of every row; row i of the answer is row i of `rows`.

    Args:
        rows: in ROWS_SCHEMA.
        on_done: called with the number of rows that have ended.
        sources: where each source lies (fsspec URLs), for rows whose picture it holds.

    Returns:
        A table in PAIRS_SCHEMA. A missing url or caption is written as an empty one.

    Raises:
        ContactRequired: an address outside the allowed networks would be dialled without a contact.
    """
    asked = rows.to_pylist()
    pairs = [make_pair(row) for row in asked]
    boxes = _find_boxes(asked, pairs) if session.blurs_faces else [()] * len(pairs)
    stored, wanted = _sort_out(asked, pairs)
    on_done(len(pairs) - len(stored) - len(wanted))

    def receive(place: int, found: dict[str, Any]) -> None:
        settle(pairs[place], found)
        on_done(1)

    sought = [
        Wanted(pair["url"], row["expected_hash"], tuple(row_boxes))
        for pair, row, row_boxes in zip(pairs, asked, boxes, strict=True)
    ]
    for place, fetched in _read_stored(asked, stored, session.max_body_bytes, sources):
        found = session.describe_stored(sought[place].url, fetched, sought[place].face_boxes)
        receive(place, found | _of_original(asked[place], found["outcome"]))
    session.bring(
        [sought[place] for place in wanted],
        lambda index, found: receive(wanted[index], found),
    )
    return make_table(pairs)


def _find_boxes(asked: list[Mapping[str, Any]], pairs: list[Pair]) -> list[Sequence[float]]:
    """The faces of each row, which ends here where they are to be blurred and cannot be found."""
    boxes = [row.get("face_boxes") or () for row in asked]
    for pair, row_boxes in zip(pairs, boxes, strict=True):
        if pair["outcome"] == OK and not are_sound(row_boxes):
            pair["outcome"] = "face_boxes_invalid"
    return boxes


def _sort_out(asked: list[Mapping[str, Any]], pairs: list[Pair]) -> tuple[list[int], list[int]]:
    """The places of rows whose picture is stored already, and of those to be fetched."""
    open_places = [place for place, pair in enumerate(pairs) if pair["outcome"] == OK]
    stored = [place for place in open_places if asked[place]["shard"] is not None]
    wanted = [place for place in open_places if asked[place]["shard"] is None]
    return stored, wanted


def _read_stored(
    asked: list[Mapping[str, Any]],
    stored: Iterable[int],
    max_bytes: int,
    sources: Sequence[str],
) -> Iterable[tuple[int, Fetched]]:
    """Pictures that the sources hold, shard by shard; one picture may be several rows'."""
    shards: dict[tuple[int, str], dict[str, list[int]]] = defaultdict(dict)
    for place in stored:
        row = asked[place]
        shards[row["source"], row["shard"]].setdefault(row["member"], []).append(place)
    for (source, shard), places in shards.items():
        folder = Source(sources[source]).folder
        for member, fetched in read_stored(folder, shard, list(places), max_bytes):
            yield from ((place, fetched) for place in places[member])


def _of_original(row: Mapping[str, Any], outcome: str) -> dict[str, int | None]:
    """What is known of a picture before an earlier run shrank it and compressed it anew.

    Nothing of one that lies as it was published; img2dataset's members are numbers alone.
    """
    sizes = {name: row[name] for name in ("original_width", "original_height")}
    known = all(size is not None for size in sizes.values())
    if not known and not row["member"].isdecimal():
        return {}
    return dict.fromkeys(OF_BODY) | (sizes if known and outcome == OK else {})


@dataclass(frozen=True, slots=True)
class FetchUnit:
    """One unit of input rows into one unit of pairs."""

    rows_folder: str
    folder: str
    section_sha256: str
    kit: FetchKit
    sources: tuple[str, ...] = ()
    """Where each source lies (fsspec URLs)."""
    rounds: Mapping[str, int] = field(default_factory=dict)
    """How often `pipelines.retry` has made a unit again, by the unit's number."""
    max_open_items: int = MAX_OPEN_UNITS

    def output(self, item: FileEntry) -> Output:
        return pairs_output(self.folder, self.section_sha256, item, self.rounds)

    def rows(self, item: FileEntry) -> int:
        return item.rows

    def open(self) -> AbstractContextManager[Session]:
        return OpenFetch(self.kit, self._fetch)

    def __call__(self, item: FileEntry) -> None:
        with self.open() as session:
            session.do(item)

    def _fetch(self, item: FileEntry, session: FetchSession) -> None:
        watch = Stopwatch()
        rows = read_table(self.rows_folder, item)
        pairs = fetch_rows(rows, session, progress.advance, self.sources)
        commit_pairs(self.output(item), pairs, watch)


def pairs_output(
    folder: str, section_sha256: str, rows: FileEntry, rounds: Mapping[str, int]
) -> Output:
    """Where the pairs of a unit of rows go, after so many rounds of retry."""
    number = rounds.get(str(rows.index), 0)
    parts = (f"retry {number}",) if number else ()
    return unit_output(folder, rows.index, section_sha256, rows.sha256, *parts)


def commit_pairs(output: Output, pairs: pa.Table, watch: Stopwatch) -> None:
    """Commit a unit; raises RuntimeError where more rows brought out a fault of ours than may."""
    counts = count_outcomes(pairs["outcome"])
    if INTERNAL_ERROR in counts:
        faulty = pairs.filter(pc.equal(pairs["outcome"], INTERNAL_ERROR))
        check_faults(faulty["signal"].to_pylist(), len(pairs))
    commit_table(output, pairs, Written(len(pairs), counts, side={"seconds": watch.seconds()}))


def read_rounds(manifest: Manifest | None) -> dict[str, int]:
    """How often each unit was made again, by its number as text; absent: never."""
    return {} if manifest is None else dict(manifest.details.get("rounds", {}))


def plan_fetch(build: Build, done: Mapping[str, Manifest]) -> Job:
    """The fetch stage: one step, a unit of pairs for each unit of rows.

    Args:
        done: the manifest of rows, and that of the fetch stage where it has run before.
    """
    rows, folder, section = done["rows"], build.folder("fetch"), build.recipe.fetch
    rounds = read_rounds(done.get("fetch"))
    generation = _describe_generation(build, rows, rounds)
    image = StoredImage(section.stored_side_px, section.image_format, section.blur_faces)
    work = FetchUnit(
        join_url(build.directory, "rows"),
        folder,
        generation.section_sha256,
        FetchKit(build.fetch, image, build.fetch_engine),
        tuple(source.url for source in build.sources),
        rounds,
    )
    outputs = tuple(map(work.output, rows.files))
    return Job(
        (Step("Fetch Images", work, rows.files),),
        PublishFiles(generation, outputs, {"": rows.rows}, FETCH_OUTCOMES),
    )


def _describe_generation(build: Build, rows: Manifest, rounds: Mapping[str, int]) -> Generation:
    guard = build.fetch.guard
    return Generation(
        stage="fetch",
        folder=build.folder("fetch"),
        recipe=build.recipe.to_dict(),
        section_sha256=build.recipe.section_sha256("fetch"),
        inputs={"rows": hash_entries(rows.files)},
        details={
            "allow_networks": list(guard.allow_networks),
            "allow_ports": list(guard.allow_ports),
            "sources": rows.inputs["sources"],
            "optout_lists": list(map(hash_file, build.fetch.optout_lists)),
            "blocklists": list(map(hash_file, build.fetch.blocklists)),
            "fetch_engine": build.fetch_engine,
        }
        | ({"rounds": dict(rounds)} if rounds else {}),
        packages=(*PACKAGES, *([IMG2DATASET] if build.fetch_engine == IMG2DATASET else [])),
    )
