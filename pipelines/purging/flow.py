"""The flow of a purge: what has to go, tombstones for it, new files, their publication, the rest.

    list ──> search ──> journal ──> tombstones ──> new files ──> manifests ──> leftovers ──> page

From the tombstones on it can only be finished: the journal stands until it is, the other doors
refuse the folder while it stands, and the next purge goes on from where this one was broken off.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import fsspec

from pipelines.commit import put_text
from pipelines.describing.card_files import write_card
from pipelines.describing.card_section import CardSection
from pipelines.doors import BadInput
from pipelines.lock import JOURNAL_NAME, hold_lock
from pipelines.purging.beside import thin_out_lists
from pipelines.purging.files import Change, publish_all, read_generations, rewrite
from pipelines.purging.leftovers import clear_leftovers, find_remains
from pipelines.purging.search import Search
from pipelines.purging.tombstones import (
    Mark,
    mark_host,
    mark_pair,
    mark_sha256,
    mark_url,
    read_tombstones,
    write_tombstones,
)
from pipelines.report import write_report
from pipelines.web.lists import EntryList, load_purge_list
from tokens.manifest import join_url

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Purge:
    """What came of a purge."""

    listed: int
    """Entries of the lists."""
    earlier: int
    """Of them, taken down before."""
    missed: int
    """Of them, found nowhere."""
    pairs: int
    """Pairs that have been taken down."""
    changes: tuple[Change, ...]
    removed: int
    """Files that were removed: those of earlier generations, of interrupted stages."""

    def lines(self) -> Iterator[str]:
        """For a person."""
        found = self.listed - self.earlier - self.missed
        yield (
            f"listed    {self.listed:>12,}  {found:,} found, {self.earlier:,} taken down before, "
            f"{self.missed:,} not found"
        )
        yield f"pairs     {self.pairs:>12,}  taken down: those, and what shares a URL or a picture"
        for change in self.changes:
            yield (
                f"{change.folder:<10}{change.rows:>12,}  rows, "
                f"{change.anew:,} of {change.files:,} files written anew"
            )
        yield f"removed   {self.removed:>12,}  files"


def purge(directory: str, lists: Sequence[str], reason: str | None) -> Purge:
    """Take down what is listed, and all that shares a URL or a picture with it.

    Raises:
        BadInput: a list or the folder cannot be read, or a driver holds its lock.
    """
    try:
        entries = [load_purge_list(file) for file in lists]
        with hold_lock(directory, purging=True):
            if not read_generations(directory):
                raise BadInput(f"{directory} holds no finished stage: give a build's --output")
            if read_journal(directory) is not None:
                logger.warning("a purge of %s was broken off: it is finished first", directory)
                finish(directory)
            return _purge(directory, entries, reason)
    except (ValueError, FileNotFoundError) as err:
        raise BadInput(str(err)) from err


def _purge(directory: str, entries: Sequence[EntryList], reason: str | None) -> Purge:
    gone = read_tombstones(directory)
    earlier, wanted = set(gone.marks), {mark for one in entries for mark in marks_of(one)}
    for mark in wanted:
        gone.add(mark, reason)
    search = Search(directory, gone, tuple(one.looks for one in entries), reason)
    search.run()
    write_journal(directory, read_generations(directory))
    write_tombstones(directory, gone)
    changes, removed = finish(directory)
    looked = sum(len(one.looks) for one in entries)
    old = (wanted & earlier) - search.hits
    return Purge(
        listed=len(wanted) + looked,
        earlier=len(old),
        missed=len(wanted - search.hits - old) + looked - len(search.seen),
        pairs=len(search.taken),
        changes=tuple(changes),
        removed=removed,
    )


def marks_of(entries: EntryList) -> Iterator[Mark]:
    """The marks of a list's entries, all but the perceptual hashes."""
    yield from (mark for url in entries.urls if (mark := mark_url(url)) is not None)
    yield from map(mark_host, entries.hosts)
    yield from map(mark_sha256, entries.sha256)
    yield from map(mark_pair, entries.pair_ids)


def finish(directory: str) -> tuple[list[Change], int]:
    """Do what the journal says is begun; nothing where there is none.

    Returns:
        What became of the stages' files, and how many others were removed.
    """
    journal = read_journal(directory)
    if journal is None:
        return [], 0
    gone = read_tombstones(directory)
    changes: list[Change] = []
    if journal:
        after, changes = rewrite(directory, journal, gone)
        publish_all(directory, after)
        write_journal(directory, {})
    thin_out_lists(directory, gone)
    removed = clear_leftovers(directory, gone)
    if remains := find_remains(directory, gone):
        raise RuntimeError(f"{remains[0]} still holds what was purged ({len(remains)} files do)")
    _write_page(directory)
    _remove_journal(directory)
    return changes, removed


def write_journal(directory: str, generations: dict[str, int]) -> None:
    """
    Args:
        generations: of each stage, before the purge; none: the new ones have been published.
    """
    put_text(join_url(directory, JOURNAL_NAME), json.dumps(generations, sort_keys=True) + "\n")


def read_journal(directory: str) -> dict[str, int] | None:
    """As `write_journal` was told; None: no purge is under way."""
    filesystem, path = fsspec.url_to_fs(join_url(directory, JOURNAL_NAME))
    try:
        generations: dict[str, int] = json.loads(filesystem.cat_file(path))
    except FileNotFoundError:
        return None
    return generations


def _remove_journal(directory: str) -> None:
    filesystem, path = fsspec.url_to_fs(join_url(directory, JOURNAL_NAME))
    filesystem.rm_file(path)


def _write_page(directory: str) -> None:
    """Report and card anew; there are none of a build that has fetched nothing."""
    if "pairs" in read_generations(directory):
        write_report(directory)
        write_card(directory, CardSection())
