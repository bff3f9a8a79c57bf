"""An item that raises, hangs or balloons costs no other one (lists R06 and R07), and is named."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.commit import current_manifest
from pipelines.dead_letters import LETTERS_NAME, MAX_TEXT_BYTES
from pipelines.doors import BuildFailed
from pipelines.running.local import LocalEngine
from tests.pipelines.faulty_work import make_job

STUCK_S = 1.0


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    """Two processes."""
    with LocalEngine(2, stuck_s=STUCK_S) as running:
        yield running


def fail(engine: LocalEngine, directory: Path, *words: str) -> tuple[str, list[dict[str, Any]]]:
    """What the build says in its end, and its dead letters."""
    with pytest.raises(BuildFailed) as caught:
        engine.run(make_job(directory, words))
    assert current_manifest(str(directory / "words")) is None
    letters = directory / LETTERS_NAME
    return str(caught.value), json.loads(letters.read_text()) if letters.exists() else []


def finished(directory: Path) -> set[str]:
    return {path.stem for path in (directory / "words").glob("*.json")}


@pytest.mark.parametrize(
    ("word", "fault"),
    [
        ("two raises", "ValueError: cannot read <bytes>!!!"),
        ("two hangs", "told of no row for too long and was killed"),
        ("two balloons", "died 3 times in a row with nothing finished: exit code -9"),
    ],
)
def test_an_item_that_cannot_be_done_is_set_aside_and_the_others_are_finished(
    engine: LocalEngine, tmp_path: Path, word: str, fault: str
) -> None:
    told, (letter,) = fail(engine, tmp_path, "one", word, "three", "four", "five")

    assert finished(tmp_path) == {"one", "three", "four", "five"}
    assert told.startswith("Write Words: 1 of 5 items could not be done, the others are finished")
    assert (letter["item"], letter["step"]) == (word, "Write Words")
    assert fault in letter["fault"] and fault in told
    assert len(letter["fault"].encode()) <= MAX_TEXT_BYTES
    assert "stranger" not in letter["fault"]
    assert sum(worker.process.is_alive() for worker in engine._workers) == 2


def test_a_process_that_ends_behind_its_last_item_costs_nothing(
    engine: LocalEngine, tmp_path: Path
) -> None:
    manifest = engine.run(make_job(tmp_path, ("one leaves", "two leaves", "three")))

    assert manifest.rows == 3
    assert not (tmp_path / LETTERS_NAME).exists()


def test_once_mended_the_item_alone_is_done_and_its_letter_goes(
    engine: LocalEngine, tmp_path: Path
) -> None:
    words = ("one", "two raises", "three")
    fail(engine, tmp_path, *words)
    before = (tmp_path / "words" / "one").stat().st_mtime_ns
    (tmp_path / "words" / "mended").touch()

    with LocalEngine(1) as again:
        manifest = again.run(make_job(tmp_path, words))

    assert [entry.name for entry in manifest.files] == list(words)
    assert (tmp_path / "words" / "one").stat().st_mtime_ns == before
    assert not (tmp_path / LETTERS_NAME).exists()


def test_a_fault_of_every_item_ends_the_build_soon(engine: LocalEngine, tmp_path: Path) -> None:
    told, letters = fail(engine, tmp_path, *(f"{n} raises" for n in range(20)))

    assert told.startswith("Write Words: ValueError: cannot read <bytes>")
    assert not letters


def test_a_full_disk_is_no_items_fault(engine: LocalEngine, tmp_path: Path) -> None:
    told, letters = fail(engine, tmp_path, "one full")

    assert "No space left on device: 'a file'; the same command goes on from here" in told
    assert not letters
