"""What is wrong with a build's files: each compared with the manifest that answers for it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.checking.inventory import (
    FOREIGN,
    MEANINGS,
    Inventory,
    Stray,
    find_entry,
    take_inventory,
)
from pipelines.commit import hash_entries, hash_file
from pipelines.progress import ProgressLine
from tokens.manifest import Manifest, join_url

STAGES = {
    "rows": (),
    "pairs": ("rows",),
    "signals": ("pairs",),
    "decisions": ("pairs", "signals"),
    "tokens": ("pairs", "decisions"),
}
"""Folders of a build, and those whose files each was made of."""
MAX_STRAYS_TOLD = 20
"""Of one kind; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that is not what its manifest says."""

    url: str
    cause: str


@dataclass(frozen=True, slots=True)
class Verification:
    """All that was found."""

    files: int
    bytes: int
    damaged: tuple[Damage, ...]
    behind: tuple[str, ...]
    """Stages that were made of other files than are there now."""
    strays: tuple[Stray, ...]

    @property
    def sound(self) -> bool:
        return not self.damaged and all(stray.kind != FOREIGN for stray in self.strays)

    def lines(self) -> Iterator[str]:
        """The findings for a person, worst first."""
        for damage in self.damaged:
            yield f"{damage.url}: {damage.cause}"
        yield from _describe_strays(self.strays)
        yield from self.behind
        number = len(self.damaged)
        verdict = f"{number:,} of them damaged" if number else "all as the manifests say"
        yield f"{self.files:,} files, {self.bytes:,} bytes: {verdict}"
        if number:
            yield (
                "to make a damaged file again, delete it and its folder's manifest.json, "
                "then run pipelines.build as before"
            )


def take_inventories(directory: str) -> list[Inventory]:
    """Those of a build's finished stages; raises FileNotFoundError where there is none."""
    found = [take_inventory(join_url(directory, stage)) for stage in STAGES]
    taken = [one for one in found if one is not None]
    if not taken:
        raise FileNotFoundError(f"{directory} holds no finished stage: give a build's --output")
    return taken


def verify_build(directory: str, threads: int = 4) -> Verification:
    """Read and hash every file of a build's finished stages.

    Raises:
        FileNotFoundError: no stage has finished there.
        ValueError: a manifest is none.
    """
    taken = take_inventories(directory)
    files = sum(len(one.expected) for one in taken)
    with ThreadPoolExecutor(threads) as pool, ProgressLine("Verify Files", files) as line:
        damaged = [damage for one in taken for damage in _verify_stage(one, pool, line)]
    return Verification(
        files,
        sum(one.manifest.bytes for one in taken),
        tuple(damaged),
        tuple(_find_behind(taken)),
        tuple(stray for one in taken for stray in one.strays),
    )


def _verify_stage(
    inventory: Inventory, pool: ThreadPoolExecutor, line: ProgressLine
) -> Iterator[Damage]:
    sizes = {entry.name: entry.bytes for entry in inventory.manifest.files}

    def verify(item: tuple[str, str]) -> str | None:
        name, digest = item
        return find_fault(inventory, name, digest, sizes.get(name))

    names = tuple(inventory.expected.items())
    for (name, _), cause in zip(names, pool.map(verify, names), strict=True):
        line.advance(1)
        if cause is not None:
            yield Damage(join_url(inventory.folder, name), cause)


def find_fault(inventory: Inventory, name: str, digest: str, size: int | None) -> str | None:
    """What is wrong with a file; None: it has the bytes that the manifest says."""
    url = join_url(inventory.folder, name)
    try:
        found = hash_file(url)
    except FileNotFoundError:
        return "missing"
    if found == digest:
        return None
    filesystem, path = fsspec.url_to_fs(url)
    there = filesystem.size(path)
    if (same := find_entry((inventory.manifest,), found)) is not None:
        return f"holds what belongs to {same[1].name}"
    if (older := find_entry(inventory.older, found)) is not None:
        return f"is what generation {older[0].generation} held as {older[1].name}"
    if size is not None and there != size:
        return f"{there:,} bytes where the manifest says {size:,}: {_compare(there, size)}"
    return "changed: " + (find_page(url) or "its SHA-256 is not the manifest's")


def _compare(there: int, size: int) -> str:
    return "truncated" if there < size else "longer than it was written"


def find_page(url: str) -> str | None:
    """Which part of a Parquet file its page checksums call damaged; None where they do not tell."""
    try:
        with fsspec.open(url, "rb") as file:
            table = pq.ParquetFile(file, page_checksum_verification=True)
            return next(_damaged_parts(table), None)
    except (pa.ArrowException, OSError):
        return "its Parquet footer cannot be read"


def _damaged_parts(table: pq.ParquetFile) -> Iterator[str]:
    for group in range(table.num_row_groups):
        for column in table.schema_arrow.names:
            try:
                table.read_row_group(group, columns=[column])
            except (pa.ArrowException, OSError):
                yield f"row group {group}, column {column}"


def _find_behind(taken: Iterable[Inventory]) -> Iterator[str]:
    """Stages whose inputs have another generation than the one they were made of."""
    folders = {one.folder.rstrip("/").rpartition("/")[2]: one.manifest for one in taken}
    for folder, manifest in folders.items():
        for above in STAGES[folder]:
            if above in folders and not _is_made_of(manifest, above, folders[above]):
                yield f"{folder} was made of other {above} than are there now: run pipelines.build"


def _is_made_of(manifest: Manifest, name: str, above: Manifest) -> bool:
    recorded = manifest.inputs.get(name)
    return recorded is None or recorded == hash_entries(above.files)


def _describe_strays(strays: Iterable[Stray]) -> Iterator[str]:
    told: Counter[str] = Counter()
    for stray in strays:
        told[stray.kind] += 1
        if told[stray.kind] <= MAX_STRAYS_TOLD:
            yield f"{stray.url}: {stray.kind}, {MEANINGS[stray.kind]}"
    for kind, number in told.items():
        if number > MAX_STRAYS_TOLD:
            yield f"and {number - MAX_STRAYS_TOLD:,} more that are {kind}"
