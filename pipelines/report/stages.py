"""Which stages of a build are there, what they were made of, and what they took."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import fsspec

from pipelines.commit import current_manifest, hash_entries
from pipelines.corpus import FOLDERS as STAGE_FOLDERS
from tokens.manifest import FileEntry, Manifest, join_url

BUILT, NOT_BUILT, OUT_OF_DATE = "built", "not built", "out of date"

FOLDERS = {"read": "rows", **STAGE_FOLDERS}
"""Where each stage writes, in the order in which they run."""

INPUTS: Mapping[str, Mapping[str, str]] = {
    "read": {},
    "fetch": {"rows": "read"},
    "score": {"pairs": "fetch"},
    "select": {"pairs": "fetch", "signals": "score"},
    "encode": {"pairs": "fetch", "decisions": "select"},
}
"""The stages whose files a manifest's `inputs` name by hash."""


@dataclass(frozen=True, slots=True)
class StageFigures:
    """One stage's line in the table of stages."""

    name: str
    folder: str
    state: str
    """"built"; "not built"; "out of date" where a stage before it has changed since."""
    rows: int = 0
    files: int = 0
    bytes: int = 0
    worker_seconds: float | None = None
    """Summed over the stage's files, whoever wrote them; None where nobody took the time."""


def read_stages(directory: str) -> dict[str, Manifest]:
    """The manifests that are there, by stage, in order.

    Raises:
        FileNotFoundError: there are no fetched pairs, and so nothing to report on.
    """
    found = {stage: current_manifest(join_url(directory, FOLDERS[stage])) for stage in FOLDERS}
    if found["fetch"] is None:
        raise FileNotFoundError(
            f"{directory} holds no fetched pairs: give the --output folder of pipelines.build"
        )
    return {stage: manifest for stage, manifest in found.items() if manifest is not None}


def find_current(manifests: Mapping[str, Manifest]) -> dict[str, Manifest]:
    """The stages that were made of what the stages before them hold now.

    Fetched pairs are current in themselves: rows that were read since are yet to come.
    """
    current: dict[str, Manifest] = {}
    for stage, manifest in manifests.items():
        inputs = INPUTS[stage] if stage != "fetch" else {}
        if all(
            source in current and manifest.inputs.get(name) == hash_entries(current[source].files)
            for name, source in inputs.items()
        ):
            current[stage] = manifest
    return current


def describe_stages(
    directory: str, found: Mapping[str, Manifest], current: Mapping[str, Manifest]
) -> tuple[StageFigures, ...]:
    """A line for every stage, built or not."""
    return tuple(
        _describe_stage(directory, stage, found[stage], stage in current)
        if stage in found
        else StageFigures(stage, FOLDERS[stage], NOT_BUILT)
        for stage in FOLDERS
    )


def _describe_stage(
    directory: str, stage: str, manifest: Manifest, is_current: bool
) -> StageFigures:
    return StageFigures(
        name=stage,
        folder=FOLDERS[stage],
        state=BUILT if is_current else OUT_OF_DATE,
        rows=manifest.rows,
        files=len(manifest.files),
        bytes=manifest.bytes,
        worker_seconds=sum_seconds(join_url(directory, FOLDERS[stage]), manifest.files),
    )


def sum_seconds(folder: str, entries: Sequence[FileEntry]) -> float | None:
    """Seconds that the records beside the files tell, or None where none of them does."""
    if not entries:
        return None
    filesystem, path = fsspec.url_to_fs(folder)
    records = filesystem.cat([join_url(path, f"{e.name}.json") for e in entries], on_error="omit")
    sides = (json.loads(records[name]).get("side", {}) for name in sorted(records))
    seconds = [side["seconds"] for side in sides if "seconds" in side]
    return round(sum(seconds), 3) if seconds else None
