"""Writers that end at any system call, others that go on, a collector: what a reader may see.

Lists R02 and R12. `Ended` stands for kill -9 (`faulty_disk`).
"""

import contextlib
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from pipelines.checking.collecting import collect
from pipelines.commit import (
    Output,
    Written,
    commit_table,
    current_manifest,
    make_digest,
    read_record,
    unit_output,
)
from pipelines.publishing import Generation, PublishFiles
from tests.pipelines.faulty_disk import Ended, FaultyDisk
from tokens.manifest import Manifest, read_table

UNITS, ROWS = 2, 3
VERSIONS = st.integers(0, 2)
CALLS = st.integers(0, 60)
"""More than a build of two units makes (a test counts them)."""


def rows_of(version: int, unit: int) -> list[int]:
    return [100 * version + 10 * unit + row for row in range(ROWS)]


def output_of(folder: Path, version: int, unit: int) -> Output:
    return unit_output(str(folder), unit, str(version))


def build(folder: Path, version: int) -> Manifest:
    """What a stage does: the units that are not there, then the manifest."""
    outputs = tuple(output_of(folder, version, unit) for unit in range(UNITS))
    for unit, output in enumerate(outputs):
        if read_record(output) is None:
            table = pa.table({"row": rows_of(version, unit)})
            commit_table(output, table, Written(ROWS))
    made = Generation("pairs", str(folder), {}, make_digest(str(version)), {})
    return PublishFiles(made, outputs, {"": UNITS * ROWS})()


def read(folder: Path, manifest: Manifest) -> list[int]:
    return [
        row for entry in manifest.files for row in read_table(str(folder), entry)["row"].to_pylist()
    ]


class Commits(RuleBasedStateMachine):
    """A stage's folder, built anew under other settings again and again."""

    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.folder = self.directory / "pairs"
        self.may_be: set[int | None] = {None}
        """Versions that a reader may see; None is no manifest."""
        self.held: list[Manifest] = []

    def run(self, disk: FaultyDisk, act: str, version: int = 0) -> bool:
        """Do it over a disk; False where the process was ended."""
        with pytest.MonkeyPatch.context() as patch:
            disk.install(patch)
            try:
                if act == "build":
                    build(self.folder, version)
                else:
                    collect(str(self.directory), time.time() + 60, apply=True)
            except Ended:
                (self.directory / "lock.json").unlink(missing_ok=True)  # its holder is dead
                return False
        return True

    @rule(version=VERSIONS)
    def write(self, version: int) -> None:
        """A build to its end; after a crash, the retry."""
        assert self.run(FaultyDisk(), "build", version)
        self.may_be = {version}

    @rule(version=VERSIONS, at=CALLS)
    def write_and_end(self, version: int, at: int) -> None:
        ended = not self.run(FaultyDisk(at), "build", version)
        self.may_be = self.may_be | {version} if ended else {version}

    @rule()
    def hold(self) -> None:
        """A reader that has read the manifest and takes its time."""
        manifest = current_manifest(str(self.folder))
        self.held += [manifest] if manifest else []

    @rule()
    def collect_garbage(self) -> None:
        if current_manifest(str(self.folder)) is not None:
            assert self.run(FaultyDisk(), "collect")

    @rule(at=CALLS)
    def collect_garbage_and_end(self, at: int) -> None:
        if current_manifest(str(self.folder)) is not None:
            self.run(FaultyDisk(at), "collect")

    @invariant()
    def a_reader_sees_one_version_whole(self) -> None:
        manifest = current_manifest(str(self.folder))
        seen = None if manifest is None else version_of(read(self.folder, manifest))
        assert seen in self.may_be
        self.may_be = {seen}

    @invariant()
    def a_slow_reader_sees_its_version_or_that_it_is_gone(self) -> None:
        for manifest in self.held:
            with contextlib.suppress(FileNotFoundError):
                version_of(read(self.folder, manifest))

    def teardown(self) -> None:
        shutil.rmtree(self.directory)


def version_of(rows: list[int]) -> int:
    """The version whose rows these are, each once and in order."""
    version = rows[0] // 100
    assert rows == [row for unit in range(UNITS) for row in rows_of(version, unit)]
    return version


def test_a_reader_never_sees_a_partial_or_a_doubled_row() -> None:
    few = settings(max_examples=20, stateful_step_count=12, deadline=None)
    run_state_machine_as_test(Commits, settings=few)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nor_in_thousands_of_steps() -> None:
    many = settings(max_examples=300, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(Commits, settings=many)


def test_a_build_makes_as_many_calls_as_the_search_strikes(tmp_path: Path) -> None:
    disk = FaultyDisk()
    with pytest.MonkeyPatch.context() as patch:
        disk.install(patch)
        build(tmp_path, 0)

    assert 30 < len(disk.calls) < 60


def test_a_unit_that_many_write_at_once_is_one_file_and_one_record(tmp_path: Path) -> None:
    output = output_of(tmp_path, 0, 0)
    table = pa.table({"row": rows_of(0, 0)})

    with ThreadPoolExecutor(8) as writers:
        written = writers.map(lambda _: commit_table(output, table, Written(ROWS)), range(24))
        entries = {entry.sha256 for entry in written}

    assert len(entries) == 1
    assert read_record(output) is not None
    assert {path.name for path in tmp_path.iterdir()} == {output.name, f"{output.name}.json"}


def test_what_a_killed_writer_leaves_goes_with_the_garbage(tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    build(folder, 0)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Ended):
        FaultyDisk(3).install(patch)
        build(folder, 1)
    assert list(folder.glob(".*.tmp"))

    collect(str(tmp_path), time.time() + 60, apply=True)

    names = {path.name for path in folder.iterdir()}
    outputs = {output_of(folder, 0, unit).name for unit in range(UNITS)}
    assert names == outputs | {f"{name}.json" for name in outputs} | {"manifest.json"}
