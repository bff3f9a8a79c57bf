"""The last act of every stage: check the books over what was written, then publish the manifest."""

import importlib.metadata
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import fsspec

from pipelines.commit import Output, copy_file, current_manifest, publish, require_record
from pipelines.ledger import add_counts, check_books
from tokens.manifest import FileEntry, Manifest, join_url


@dataclass(frozen=True, slots=True)
class Generation:
    """What decides a stage's bytes: two equal ones need no work."""

    stage: str
    folder: str
    recipe: dict[str, Any]
    section_sha256: str
    inputs: dict[str, Any]
    details: dict[str, Any] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    """Distributions whose versions the manifest records."""

    def is_current(self) -> bool:
        """Whether the published manifest was made of just this."""
        old = current_manifest(self.folder)
        return (
            old is not None
            and old.section_sha256 == self.section_sha256
            and old.inputs == self.inputs
        )


@dataclass(frozen=True, slots=True)
class PublishFiles:
    """Publishes committed files as a stage's next generation."""

    generation: Generation
    outputs: tuple[Output, ...]
    rows: dict[str, int]
    """Rows that each group of files must hold."""
    outcomes: tuple[str, ...] = ()
    """The outcomes that rows may have; none: the files count no outcomes."""
    copies: tuple[tuple[str, str], ...] = ()
    """Files that readers want beside the stage's own: where from, and the name below the folder."""
    beside: tuple[tuple[str, str], ...] = ()
    """The same, for files whose hashes the manifest's details name (`beside`)."""
    facts: tuple[str, ...] = ()
    """JSON objects that join the manifest's details: what is only known once the work is done."""
    leftovers: tuple[str, ...] = ()
    """Folders that nobody needs once the manifest is there."""

    def __call__(self) -> Manifest:
        """Publish; doing it again, as a Beam pipeline and its driver do, changes nothing."""
        current = current_manifest(self.generation.folder) if self.facts or self.beside else None
        if current is not None and self.generation.is_current():
            manifest = current  # what facts and files beside are made of has gone with the first
        else:
            manifest = self._publish()
        for folder in self.leftovers:
            _remove(folder)
        return manifest

    def _publish(self) -> Manifest:
        entries = tuple(require_record(output) for output in self.outputs)
        self._check(entries)
        made = self.generation
        copied = {
            name: copy_file(source, join_url(made.folder, name))
            for source, name in (*self.copies, *self.beside)
        }
        beside = {"beside": {name: copied[name] for _, name in self.beside}} if self.beside else {}
        return publish(
            made.folder,
            Manifest(
                stage=made.stage,
                generation=0,
                files=entries,
                counts=add_counts(entries),
                recipe=made.recipe,
                section_sha256=made.section_sha256,
                inputs=made.inputs,
                details=made.details | _read_facts(self.facts) | beside,
                versions=list_versions(made.packages),
            ),
        )

    def _check(self, entries: Iterable[FileEntry]) -> None:
        found = dict.fromkeys(self.rows, 0)
        for entry in entries:
            found[entry.group] += entry.rows
            if self.outcomes:
                check_books(entry.rows, entry.counts, self.outcomes, entry.name)
        if found != self.rows:
            raise RuntimeError(
                f"{self.generation.stage}: the books do not balance: {self.rows} rows in, "
                f"{found} rows out"
            )


def list_versions(packages: Iterable[str]) -> dict[str, str]:
    """Installed versions by distribution name."""
    return {name: importlib.metadata.version(name) for name in sorted({"pairmill", *packages})}


def _read_facts(urls: Iterable[str]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for url in urls:
        with fsspec.open(url, "rb") as file:
            facts |= json.load(file)
    return facts


def _remove(folder: str) -> None:
    filesystem, path = fsspec.url_to_fs(folder)
    if filesystem.exists(path):
        filesystem.rm(path, recursive=True)
