"""Which stages of a build are there, what they were made of, and what they took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.commit import current_manifest, hash_entries
from pipelines.corpus import FOLDERS as STAGE_FOLDERS
from pipelines.report.sides import Side, read_sides, sum_seconds
from tokens.manifest import Manifest, join_url

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


def read_all_sides(directory: str, found: Mapping[str, Manifest]) -> dict[str, list[Side]]:
    """What the records of each stage's files tell."""
    return {
        stage: read_sides(join_url(directory, FOLDERS[stage]), manifest.files)
        for stage, manifest in found.items()
    }


def describe_stages(
    found: Mapping[str, Manifest],
    current: Mapping[str, Manifest],
    sides: Mapping[str, Sequence[Side]],
) -> tuple[StageFigures, ...]:
    """A line for every stage, built or not."""
    return tuple(
        _describe_stage(stage, found[stage], stage in current, sum_seconds(sides[stage]))
        if stage in found
        else StageFigures(stage, FOLDERS[stage], NOT_BUILT)
        for stage in FOLDERS
    )


def _describe_stage(
    stage: str, manifest: Manifest, is_current: bool, worker_seconds: float | None
) -> StageFigures:
    return StageFigures(
        name=stage,
        folder=FOLDERS[stage],
        state=BUILT if is_current else OUT_OF_DATE,
        rows=manifest.rows,
        files=len(manifest.files),
        bytes=manifest.bytes,
        worker_seconds=worker_seconds,
    )
