"""Lists of pairs beside a stage's own files, whose names stay: of clusters, of overlaps.

The manifest's details hold their digests. So the next generation is told what a list will be, and
once it is published the list becomes that; killed in between, the next run does it.
"""

import hashlib
import io
from collections.abc import Iterator

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.checking.verification import STAGES
from pipelines.commit import current_manifest, put_table, write_table
from pipelines.purging.burial import find_listed, take_out
from pipelines.purging.tombstones import Tombstones
from tokens.manifest import Manifest, join_url


def renew_digests(folder: str, manifest: Manifest, gone: Tombstones) -> dict[str, str]:
    """By name, the digest of every list as it will be without what is gone; writes nothing."""
    digests = dict(manifest.details.get("beside", {}))
    for name in _lists(manifest):
        if (thinned := thin_out(join_url(folder, name), gone)) is not None:
            buffer = io.BytesIO()
            write_table(buffer, thinned)
            digests[name] = hashlib.sha256(buffer.getvalue()).hexdigest()
    return digests


def thin_out_lists(directory: str, gone: Tombstones) -> None:
    """Take what is gone out of every list that a current manifest names."""
    for stage in STAGES:
        folder = join_url(directory, stage)
        manifest = current_manifest(folder)
        for name in () if manifest is None else _lists(manifest):
            url = join_url(folder, name)
            if (thinned := thin_out(url, gone)) is not None:
                put_table(url, thinned)


def thin_out(url: str, gone: Tombstones) -> pa.Table | None:
    """A list without what is gone; None where it holds nothing of that."""
    with fsspec.open(url, "rb") as opened:
        table = pq.read_table(opened, page_checksum_verification=True)
    if "pair_id" not in table.column_names or not (mask := find_listed(table, gone)).any():
        return None
    return take_out(table, mask)


def _lists(manifest: Manifest) -> Iterator[str]:
    names = sorted(manifest.details.get("beside", {}))
    return (name for name in names if name.endswith(".parquet"))
