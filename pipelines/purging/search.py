"""Which pairs have to go: those that are listed, and all that share a URL or a picture with them.

Every file of `rows/` and `pairs/` is read, those of earlier generations and of interrupted stages
included, until a pass over them finds nothing new: a pair that was found by its URL names the
picture that lay there, and another pair may have the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.checking.inventory import list_files
from pipelines.doors import BadInput
from pipelines.ledger import TOMBSTONED
from pipelines.progress import ProgressLine
from pipelines.purging import phashes as purge_phashes
from pipelines.purging.burial import match_rows, pair_ids_of_rows
from pipelines.purging.tombstones import (
    Mark,
    Tombstones,
    mark_pair,
    mark_sha256,
    mark_url,
    marks_of_url,
)
from pipelines.web.look_alikes import PHASH, LookAlikes, hash_picture
from tokens.manifest import join_url
from tokens.pixels import read_stored

PAIR_COLUMNS = ("pair_id", "outcome", "url", "url_final", "sha256")
BATCH_ROWS = 1_000
Entry = tuple[str, int, bytes]
"""Of a list of perceptual hashes: kind, distance, hash."""


@dataclass(slots=True)
class Search:
    """A search in one build; `run` fills in what it finds."""

    directory: str
    gone: Tombstones
    """What has to go: grows by every pair that is found, its URL and its picture."""
    looks: tuple[LookAlikes, ...] = ()
    reason: str | None = None
    hits: set[Mark] = field(default_factory=set)
    """Marks that a pair was found by."""
    seen: set[Entry] = field(default_factory=set)
    """Perceptual hashes that a pair was found by."""
    taken: set[bytes] = field(default_factory=set)
    """The pairs that were found, by `pair_id`."""

    def run(self) -> None:
        """
        Raises:
            BadInput: a file cannot be read.
        """
        kinds = frozenset[str]().union(*(looks.kinds for looks in self.looks))
        while self.gone or kinds:
            known = len(self.gone.marks)
            self._pass_over(kinds)
            kinds = frozenset()  # once is enough: they do not grow
            if len(self.gone.marks) == known:
                return

    def _pass_over(self, kinds: frozenset[str]) -> None:
        rows, pairs = (list(_list_tables(self.directory, name)) for name in ("rows", "pairs"))
        with ProgressLine("Search Files", len(rows) + len(pairs)) as line:
            for url in rows:
                for table in _read(url):
                    self._search_rows(table)
                line.advance(1)
            phashes = purge_phashes.find_columns(self.directory) if PHASH in kinds else {}
            for url in pairs:
                self._search_pairs(url)
                if kinds:
                    self._look_at(url, kinds, phashes)
                line.advance(1)

    def _search_rows(self, rows: pa.Table) -> None:
        found = match_rows(rows, self.gone)
        if any(found):
            pair_ids, urls = pair_ids_of_rows(rows), rows["url"].to_pylist()
            for marks, pair_id, url in zip(found, pair_ids, urls, strict=True):
                if marks:
                    self._take({"pair_id": pair_id, "url": url or "", "sha256": None}, marks)

    def _search_pairs(self, url: str) -> None:
        for table in _read(url, PAIR_COLUMNS):
            for pair in table.to_pylist():
                if pair["outcome"] != TOMBSTONED:
                    marks = [mark for mark in _marks_of(pair) if mark in self.gone.marks]
                    if marks:
                        self._take(pair, marks)

    def _look_at(
        self, url: str, kinds: frozenset[str], phashes: Mapping[str, purge_phashes.Column]
    ) -> None:
        """Compare a unit's pictures with the listed ones: by score's hashes, where they serve."""
        if kinds == {PHASH} and url in phashes:
            hashes: Iterable[dict[str, bytes]] = purge_phashes.read_column(phashes[url])
        else:
            hashes = _hash_pictures(url, kinds)
        pairs = (pair for table in _read(url, PAIR_COLUMNS) for pair in table.to_pylist())
        for pair, hashed in zip(pairs, hashes, strict=True):
            found = [entry for looks in self.looks for entry in looks.find(hashed)]
            if found and pair["outcome"] != TOMBSTONED:
                self.seen.update(found)
                self._take(pair, ())

    def _take(self, pair: Mapping[str, Any], marks: Iterable[Mark]) -> None:
        """A pair that has to go, and what it was found by."""
        self.hits.update(marks)
        self.taken.add(pair["pair_id"])
        self.gone.add(mark_pair(pair["pair_id"]), self.reason)
        self.gone.add(mark_url(pair["url"]), self.reason)
        if pair["sha256"] is not None:
            self.gone.add(mark_sha256(pair["sha256"]), self.reason)


def _marks_of(pair: Mapping[str, Any]) -> Iterator[Mark]:
    """Under which marks a pair may be gone, that of its own URL aside: its row has that."""
    yield mark_pair(pair["pair_id"])
    if pair["sha256"] is not None:
        yield mark_sha256(pair["sha256"])
    if pair["url_final"] and pair["url_final"] != pair["url"]:
        yield from marks_of_url(pair["url_final"])


def _list_tables(directory: str, folder: str) -> Iterator[str]:
    url = join_url(directory, folder)
    names = (name for name in sorted(list_files(url)) if name.endswith(".parquet"))
    return (join_url(url, name) for name in names)


def _read(url: str, columns: Iterable[str] | None = None) -> Iterator[pa.Table]:
    """A table in pieces."""
    filesystem, path = fsspec.url_to_fs(url)
    try:
        with filesystem.open(path, "rb") as opened:
            file = pq.ParquetFile(opened, page_checksum_verification=True)
            chosen = None if columns is None else list(columns)
            for batch in file.iter_batches(BATCH_ROWS, columns=chosen):
                yield pa.Table.from_batches([batch])
    except (pa.ArrowException, OSError) as err:
        raise BadInput(
            f"{url} cannot be read ({err}): see pipelines.verify; a damaged file that no manifest "
            "names may be removed"
        ) from err


def _hash_pictures(url: str, kinds: frozenset[str]) -> Iterator[dict[str, bytes]]:
    """Per row the perceptual hashes of its stored picture; decodes every one."""
    for table in _read(url, ("image",)):
        for image in table["image"]:
            data = image.as_py()
            yield {} if data is None else hash_picture(read_stored(data), kinds)
