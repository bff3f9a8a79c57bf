"""The removal of what no manifest names."""

from collections.abc import Iterator
from dataclasses import dataclass

import fsspec

from pipelines.checking.inventory import MEANINGS, Stray
from pipelines.checking.verification import take_inventories
from pipelines.lock import hold_lock
from pipelines.progress import ProgressLine


@dataclass(frozen=True, slots=True)
class Collection:
    """Files that no manifest names, and what became of them."""

    old: tuple[Stray, ...]
    young: tuple[Stray, ...]
    """Not old enough, or of an age that the file system does not tell."""
    removed: bool

    def lines(self) -> Iterator[str]:
        """For a person: each file, then the sum."""
        for stray in self.old:
            yield f"{stray.url}: {stray.kind}, {MEANINGS[stray.kind]}, {stray.bytes:,} bytes"
        size = sum(stray.bytes for stray in self.old)
        done = "removed" if self.removed else "to be removed with --apply"
        yield f"{len(self.old):,} files, {size:,} bytes {done}"
        if self.young:
            yield f"{len(self.young):,} younger files stay: see --older_than_hours"


def collect(directory: str, oldest: float, *, apply: bool) -> Collection:
    """Find, and with `apply` remove, what no manifest names.

    Args:
        oldest: seconds since 1970; a file that was modified later stays.

    Raises:
        BadInput: a living driver holds the build's lock.
        FileNotFoundError: no stage has finished there.
        ValueError: a manifest is none.
    """
    if not apply:
        return _sort_out(directory, oldest, removed=False)
    with hold_lock(directory):
        found = _sort_out(directory, oldest, removed=True)
        with ProgressLine("Remove Files", len(found.old)) as line:
            for stray in found.old:
                filesystem, path = fsspec.url_to_fs(stray.url)
                filesystem.rm_file(path)
                line.advance(1)
    return found


def _sort_out(directory: str, oldest: float, *, removed: bool) -> Collection:
    strays = [stray for one in take_inventories(directory) for stray in one.strays]
    old = tuple(stray for stray in strays if _is_old(stray, oldest))
    young = tuple(stray for stray in strays if not _is_old(stray, oldest))
    return Collection(old, young, removed)


def _is_old(stray: Stray, oldest: float) -> bool:
    return stray.modified is not None and stray.modified <= oldest
