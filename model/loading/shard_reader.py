"""Row groups of a corpus's shards as arrays, each fault of a shard named.

A footer is read once and kept. Of a shard on this machine a row group is read in place; of a
remote one it is one range of bytes, which can be on its way while others are decoded.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import fsspec
import pyarrow.parquet as pq

from model.loading.order import RowGroup
from model.loading.ranges import RangeFile, RangeSource
from model.loading.taken_down import TakenDown
from tokens.manifest import FileEntry, Manifest, join_url, read_manifest
from tokens.sequence import SequenceLayout
from tokens.shards import TokenRows, group_bytes, open_shard, read_row_groups

FOOTER_BYTES = 1 << 16
"""Read from a shard's end at once; its footer has 4 to 8 kB."""
MAX_FOOTERS = 4_096
"""Footers kept: 29 kB each."""


@dataclass(frozen=True, slots=True)
class GroupRequest:
    """One row group of one view."""

    entry: FileEntry
    view: int
    group: RowGroup


@dataclass(frozen=True, slots=True)
class RawGroup:
    """A row group, not decoded yet."""

    request: GroupRequest
    source: RangeFile | str
    """Its bytes, or the path of a local file in which they lie."""
    footer: pq.FileMetaData
    span: tuple[int, int]
    """The first byte, and the one after the last."""


class ShardReader:
    """Reads what a corpus's manifest names. `fetch` is safe to call from several threads."""

    def __init__(
        self,
        folder: str,
        manifest: Manifest,
        layout: SequenceLayout,
        source: RangeSource,
        *,
        captions: bool = False,
    ) -> None:
        self._folder, self._manifest, self._layout = folder, manifest, layout
        self._source, self._captions = source, captions
        self._remote = source.waits(folder)
        self._taken_down = TakenDown(folder)
        self._footers: dict[str, pq.FileMetaData] = {}

    def read(self, request: GroupRequest) -> TokenRows:
        """One row group's rows.

        Raises:
            FileNotFoundError, ValueError: its shard is missing, damaged or does not fit.
            OSError: the store fails again and again.
        """
        return self.decode(self.fetch(request))

    def fetch(self, request: GroupRequest) -> RawGroup:
        """The part of `read` that waits for a store."""
        entry, url = request.entry, self._url(request)
        with self._telling_missing(url):
            footer = self._find_footer(request)
            span = group_bytes(footer, request.group.index, captions=self._captions)
            if not self._remote:
                return RawGroup(request, fsspec.url_to_fs(url)[1], footer, span)
            data = self._source.read_kept(url, entry.sha256, *span)
            return RawGroup(request, RangeFile(data, span[0], entry.bytes), footer, span)

    def decode(self, raw: RawGroup) -> TokenRows:
        """The part of `read` that computes, checksums, lengths and id ranges verified."""
        try:
            return self._decode(raw)
        except ValueError:
            # damaged in the cache folder? then once more, from the store
            if not self._source.forget(raw.request.entry.sha256, *raw.span):
                raise
            return self._decode(self.fetch(raw.request))

    def _decode(self, raw: RawGroup) -> TokenRows:
        request, url = raw.request, self._url(raw.request)
        group = [request.group.index]
        with self._telling_missing(url):
            file = open_shard(raw.source, self._layout, request.view, url, raw.footer)
            rows = read_row_groups(file, group, self._layout, url, captions=self._captions)
        self._taken_down.check(rows.pair_ids, url)
        return rows

    def _find_footer(self, request: GroupRequest) -> pq.FileMetaData:
        footer = self._footers.get(request.entry.name)
        if footer is None:
            footer = self._read_footer(request)
            if len(self._footers) >= MAX_FOOTERS:
                self._footers.pop(next(iter(self._footers)), None)
            self._footers[request.entry.name] = footer
        return footer

    def _read_footer(self, request: GroupRequest) -> pq.FileMetaData:
        entry, url = request.entry, self._url(request)
        size = self._source.size(url)
        if size != entry.bytes:
            raise ValueError(
                f"{url} has {size:,} bytes, its manifest says {entry.bytes:,}; "
                "build the tokens again"
            )
        start = max(0, size - FOOTER_BYTES)
        tail = self._source.read(url, start, size)
        needed = int.from_bytes(tail[-8:-4], "little") + 8  # its length, and "PAR1", stand last
        if len(tail) < needed <= size:
            start = size - needed
            tail = self._source.read(url, start, size)
        part = RangeFile(tail, start, size)
        footer = open_shard(part, self._layout, request.view, url).metadata
        if footer.num_rows != entry.rows:
            raise ValueError(
                f"{url} has {footer.num_rows:,} rows, its manifest says {entry.rows:,}; "
                "build the tokens again"
            )
        return footer

    @contextlib.contextmanager
    def _telling_missing(self, url: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise FileNotFoundError(self._tell_missing(url)) from None

    def _tell_missing(self, url: str) -> str:
        mine = self._manifest.generation
        with contextlib.suppress(OSError, ValueError):
            current = read_manifest(self._folder).generation
            if current > mine:
                return (
                    f"{url} has been replaced: {self._folder} is generation {current} now, and "
                    f"this run reads generation {mine}; give the same command again, and it goes "
                    "on with what is there"
                )
        return f"{url} is in the manifest but not there; build the tokens again"

    def _url(self, request: GroupRequest) -> str:
        return join_url(self._folder, request.entry.name)
