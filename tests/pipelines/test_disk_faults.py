"""Killed, or out of room, at any system call of any stage: nothing half, and on to the same bytes.

Lists R01, R04 and R05 in one process; `test_kills.py` kills whole process groups.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.checking.verification import verify_build
from pipelines.corpus import FOLDERS, Build
from tests.pipelines.faulty_disk import Ended, FaultyDisk, be_full, end
from tests.pipelines.small_build import (
    decode_inline,
    inline_decoders,
    read_corpus,
    run_one_stage,
    settle_build,
    start_build,
    write_source,
)
from tokens.manifest import Manifest

__all__ = ["inline_decoders"]

STAGES = tuple(FOLDERS)
Fault = Callable[[str], None]
FEW = 2
"""Points of each stage that the quick variant strikes."""
FAULTS = [pytest.param(end, id="killed"), pytest.param(be_full, id="disk full")]


@dataclass(frozen=True)
class Stages:
    """A build that nobody disturbed, and how its folder stood before and after each stage."""

    source: Path
    folder: Path
    done: dict[str, Manifest]


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    folder = tmp_path_factory.mktemp("stages")
    source = write_source(folder / "source")
    with pytest.MonkeyPatch.context() as patch:
        decode_inline(patch)
        build = settle_build(source, folder / "whole")
        done = start_build(build)
        for stage in STAGES:
            shutil.copytree(build.directory, folder / f"before {stage}")
            done[stage] = run_one_stage(build, stage, done)
            shutil.copytree(build.directory, folder / f"after {stage}")
    return Stages(source, folder, done)


def strike(build: Build, stage: str, done: dict[str, Manifest], disk: FaultyDisk) -> bool:
    """Run a stage over a faulty disk; whether it was struck."""
    with pytest.MonkeyPatch.context() as patch:
        disk.install(patch)
        try:
            run_one_stage(build, stage, done)
        except Ended:
            pass
        except OSError as error:
            assert "No space left on device: '" in str(error)
    return disk.struck


def count_points(build: Build, stage: str, done: dict[str, Manifest]) -> int:
    disk = FaultyDisk()
    strike(build, stage, done, disk)
    return len(disk.calls)


def choose(points: int, few: bool) -> Iterator[int]:
    """All of them, or a few that are spread and the last ones: rename, sync, manifest."""
    yield from range(0, points, max(1, points // FEW) if few else 1)
    yield from range(points - 3, points) if few else ()


def check_stage(stages: Stages, corpus: Path, stage: str, fault: Fault, few: bool) -> None:
    build, whole = (
        settle_build(stages.source, corpus),
        read_corpus(stages.folder / f"after {stage}"),
    )
    shutil.copytree(stages.folder / f"before {stage}", corpus)
    points = count_points(build, stage, stages.done)
    assert points > 20
    for at in choose(points, few):
        shutil.rmtree(corpus)
        shutil.copytree(stages.folder / f"before {stage}", corpus)
        assert strike(build, stage, stages.done, FaultyDisk(at, fault))
        assert verify_build(str(corpus)).damaged == ()
        if fault is be_full:
            assert not list(corpus.rglob("*.tmp"))
        run_one_stage(build, stage, stages.done)
        found = read_corpus(corpus)
        assert {name: found.get(name) for name in whole} == whole, at
        assert all("/work/" in name or "/join/" in name for name in set(found) - set(whole)), at


@pytest.mark.usefixtures("inline_decoders")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_is_struck_shows_nothing_half_and_goes_on(
    stages: Stages, tmp_path: Path, stage: str, fault: Fault
) -> None:
    check_stage(stages, tmp_path / "corpus", stage, fault, few=True)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("inline_decoders")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_is_struck_at_any_call_shows_nothing_half_and_goes_on(
    stages: Stages, tmp_path: Path, stage: str, fault: Fault
) -> None:
    check_stage(stages, tmp_path / "corpus", stage, fault, few=False)


def test_the_build_that_is_struck_is_a_whole_one(stages: Stages) -> None:
    done = stages.done

    assert done["select"].counts == {"duplicate_pair": 1, "kept": 7}
    assert done["encode"].rows == 14 - done["select"].splits["val"]
