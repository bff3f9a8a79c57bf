"""What lies in a stage's folder, beside what its manifest says should lie there.

Readers open what a manifest names and nothing else, so what is besides does no harm; it takes
room, and somebody may wonder what it is.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import fsspec

from pipelines.commit import current_manifest
from pipelines.join import join_folder
from pipelines.shuffle import run_folder
from tokens.bundled import IMAGE_FILE, TEXT_FILE
from tokens.manifest import MANIFEST_NAME, FileEntry, Manifest, join_url, read_manifest_file

STALE, UNPUBLISHED, TEMPORARY, FOREIGN = "stale", "unpublished", "temporary", "foreign"
MEANINGS = {
    STALE: "of an earlier generation",
    UNPUBLISHED: "committed, and in no manifest: of a build that has not ended or has changed",
    TEMPORARY: "left by a process that was killed",
    FOREIGN: "none of ours",
}
"""What a file is that the manifest does not name."""

WORK_FOLDERS = frozenset({join_folder("").strip("/"), run_folder("").strip("/")})
"""Below a stage's folder, of keys and runs, until the stage is published."""

_OLD_MANIFEST = re.compile(r"manifest-\d+\.json")
_TEMPORARY = re.compile(r"\.[^/]+\.[0-9a-f]{32}\.tmp|beam-temp-.*")
_UNIT = re.compile(r"(?:[a-z0-9]+-)?\d+-[0-9a-f]{8}\.(?:parquet|bin|arrow)(?:\.json)?")


@dataclass(frozen=True, slots=True)
class Stray:
    """A file that the current manifest does not name."""

    url: str
    kind: str
    """One of MEANINGS."""
    bytes: int
    modified: float | None
    """Seconds since 1970; None where the file system does not say."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """One stage's folder: what should be there, and what else is."""

    folder: str
    manifest: Manifest
    older: tuple[Manifest, ...]
    """Earlier generations, the last first."""
    strays: tuple[Stray, ...]

    @property
    def expected(self) -> Mapping[str, str]:
        """SHA-256 of every file that the manifest answers for, by its name below the folder."""
        return {entry.name: entry.sha256 for entry in self.manifest.files} | _copies(self.manifest)


def take_inventory(folder: str) -> Inventory | None:
    """Look at a stage's folder; None where the stage has not finished there.

    Raises:
        ValueError: a manifest is there and is none.
    """
    manifest = current_manifest(folder)
    if manifest is None:
        return None
    older = tuple(_read_older(folder, manifest.generation))
    current, earlier = _names(manifest), frozenset().union(*map(_names, older))
    strays = tuple(
        Stray(join_url(folder, name), kind, details["size"], _modified(details))
        for name, details in sorted(list_files(folder).items())
        if (kind := classify(name, current, earlier)) is not None
    )
    return Inventory(folder, manifest, older, strays)


def list_files(folder: str) -> dict[str, dict[str, Any]]:
    """All files below a folder: name below it -> what the file system says."""
    filesystem, path = fsspec.url_to_fs(folder)
    found = filesystem.find(path, detail=True)
    root = filesystem._strip_protocol(path).rstrip("/") + "/"  # noqa: SLF001  # fsspec's own way
    return {name.removeprefix(root): details for name, details in found.items()}


def classify(name: str, current: frozenset[str], earlier: frozenset[str]) -> str | None:
    """Why a file is there that the manifest does not name; None where it does.

    Args:
        name: below the stage's folder.
        current: what the manifest names, and the records beside it.
        earlier: what earlier generations named.
    """
    if name in current or name == MANIFEST_NAME or _OLD_MANIFEST.fullmatch(name):
        return None
    first, *_, last = name.split("/") * 2
    if first in WORK_FOLDERS or _TEMPORARY.fullmatch(first) or _TEMPORARY.fullmatch(last):
        return TEMPORARY
    if name in earlier:
        return STALE
    return UNPUBLISHED if _UNIT.fullmatch(last) else FOREIGN


def _names(manifest: Manifest) -> frozenset[str]:
    """Files of a generation, and their records."""
    files = [entry.name for entry in manifest.files]
    return frozenset([*files, *(f"{name}.json" for name in files), *_copies(manifest)])


def _copies(manifest: Manifest) -> dict[str, str]:
    """Hashes of what lies beside a stage's own files: tokenizers, tables that its details name."""
    details = manifest.details
    named = {
        f"tokenizers/{TEXT_FILE}": details.get("text_tokenizer_sha256"),
        f"tokenizers/{IMAGE_FILE}": details.get("image_tokenizer_sha256"),
    }
    known = {name: digest for name, digest in named.items() if digest is not None}
    beside: dict[str, str] = details.get("beside", {})
    return known | beside


def _read_older(folder: str, generation: int) -> Iterator[Manifest]:
    for number in range(generation - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            yield read_manifest_file(join_url(folder, f"manifest-{number}.json"))


def _modified(details: Mapping[str, Any]) -> float | None:
    when = details.get("mtime") or details.get("LastModified") or details.get("updated")
    return when.timestamp() if isinstance(when, datetime) else when


def find_entry(manifests: tuple[Manifest, ...], sha256: str) -> tuple[Manifest, FileEntry] | None:
    """The file of some generation that has these bytes."""
    for manifest in manifests:
        for entry in manifest.files:
            if entry.sha256 == sha256:
                return manifest, entry
    return None
