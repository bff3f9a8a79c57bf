"""What has been taken down: digests alone, kept so that none of it comes back.

DIR/tombstones.parquet names pairs by `pair_id` (itself a hash of URL and caption), and URLs, hosts
and pictures by the first 16 bytes of a SHA-256; no URL, caption or picture can be read out of it.
Who has a URL can ask whether it is there, which is what the file is for.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.commit import put_table
from pipelines.fetching.refused import Refused
from pipelines.web.urls import normal_url
from tokens.manifest import join_url

TOMBSTONES_NAME = "tombstones.parquet"
PAIR_ID, URL, HOST, SHA256 = "pair_id", "url", "host", "sha256"
KINDS = (PAIR_ID, URL, HOST, SHA256)
SCHEMA = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("digest", pa.binary(16), nullable=False),
        pa.field("reason", pa.string()),  # as given by hand, with the first list that named it
    ]
)

Mark = tuple[str, bytes]
"""A kind and a digest."""


@dataclass(frozen=True, slots=True)
class Tombstones:
    """Marks of what is gone, each with the reason that was given."""

    marks: dict[Mark, str | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.marks)

    def add(self, mark: Mark | None, reason: str | None) -> bool:
        """Put a mark up; False where there is none to be put up, or it stands already."""
        if mark is None or mark in self.marks:
            return False
        self.marks[mark] = reason
        return True

    @property
    def pair_ids(self) -> list[bytes]:
        """In order, so that what is made of them is the same in every run."""
        return sorted(digest for kind, digest in self.marks if kind == PAIR_ID)

    def hold_url(self, url: str) -> bool:
        """The URL, its host or a host above it is gone."""
        return bool(self.marks) and any(mark in self.marks for mark in marks_of_url(url))

    def hold_bytes(self, sha256: bytes) -> bool:
        """The picture with this SHA-256 (32 bytes) is gone."""
        return mark_sha256(sha256) in self.marks


def mark_pair(pair_id: bytes) -> Mark:
    return PAIR_ID, pair_id


def mark_url(url: str) -> Mark | None:
    """One mark for all ways to write a URL; None for what is no URL."""
    try:
        return _mark(URL, str(normal_url(url)).encode())
    except Refused:
        return None


def mark_host(host: str) -> Mark:
    """
    Args:
        host: as `urls.host_name` gives it.
    """
    return _mark(HOST, host.encode())


def mark_sha256(sha256: bytes) -> Mark:
    return _mark(SHA256, sha256)


def marks_of_url(url: str) -> Iterator[Mark]:
    """Every mark under which a URL may be gone; none for what is no URL."""
    try:
        normal = normal_url(url)
    except Refused:
        return
    yield _mark(URL, str(normal).encode())
    yield from map(mark_host, hosts_above(normal.raw_host or ""))


def hosts_above(host: str) -> Iterator[str]:
    """A host and the names that it lies below: a.b.org, b.org, org."""
    host = host.rstrip(".")
    yield host
    while "." in host:
        host = host.partition(".")[2]
        yield host


def _mark(kind: str, data: bytes) -> Mark:
    return kind, hashlib.sha256(f"pairmill {kind}\0".encode() + data).digest()[:16]


def read_tombstones(directory: str) -> Tombstones:
    """The tombstones of a build's folder, of which there may be none.

    Raises:
        ValueError: the file is there and is none.
    """
    url = join_url(directory, TOMBSTONES_NAME)
    filesystem, path = fsspec.url_to_fs(url)
    if not filesystem.exists(path):
        return Tombstones()
    try:
        with filesystem.open(path, "rb") as file:
            table = pq.read_table(file, page_checksum_verification=True).cast(SCHEMA)
    except (pa.ArrowException, ValueError, OSError) as err:
        raise ValueError(f"{url} cannot be read as tombstones: {err}") from err
    kinds, digests, reasons = (column.to_pylist() for column in table.columns)
    return Tombstones(dict(zip(zip(kinds, digests, strict=True), reasons, strict=True)))


def write_tombstones(directory: str, gone: Tombstones) -> None:
    """Replace the file in one step; the same marks give the same bytes."""
    rows = [(*mark, reason) for mark, reason in sorted(gone.marks.items())]
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    put_table(join_url(directory, TOMBSTONES_NAME), pa.table(arrays, schema=SCHEMA))
