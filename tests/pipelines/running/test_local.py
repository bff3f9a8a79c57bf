"""What a worker process tells its parent."""

import multiprocessing
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from pipelines import progress
from pipelines.commit import Output, Written, commit_file
from pipelines.dead_letters import MAX_SET_ASIDE
from pipelines.fetching.refused import ContactRequired
from pipelines.running import worker as worker_process


@dataclass(frozen=True)
class CountLetters:
    """Writes a file per word; "stranger" and "broken" are words that fail."""

    folder: str

    def output(self, item: str) -> Output:
        return Output(self.folder, item)

    def rows(self, item: str) -> int:
        return len(item)

    def __call__(self, item: str) -> None:
        if item == "stranger":
            raise ContactRequired
        if item == "broken":
            raise ValueError("the word is broken")
        commit_file(self.output(item), lambda sink: None, Written(len(item)))
        progress.advance(len(item))


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """The parent's end of a worker that runs in a thread of this process."""
    monkeypatch.setattr(worker_process, "_die_with_parent", lambda: None)
    monkeypatch.setattr(worker_process, "_raised", [])
    ours, theirs = multiprocessing.Pipe()
    thread = threading.Thread(target=worker_process.serve, args=(theirs,))
    thread.start()
    yield ours
    ours.close()
    thread.join(30)
    theirs.close()
    progress.attach(None)
    assert not thread.is_alive()


def answers(worker: Connection, folder: Path, *words: str) -> list[tuple[str, object]]:
    """Everything that the worker says of one share."""
    worker.send((CountLetters(str(folder)), words))
    said = [worker.recv()]
    while said[-1][0] == "rows":
        said.append(worker.recv())
    return said


def test_rows_are_told_as_they_end_and_then_the_share(worker: Connection, tmp_path: Path) -> None:
    assert answers(worker, tmp_path, "one", "three") == [("rows", 3), ("rows", 5), ("done", [])]


def test_an_item_that_is_done_is_not_done_again(worker: Connection, tmp_path: Path) -> None:
    answers(worker, tmp_path, "one")
    assert answers(worker, tmp_path, "one", "two") == [("rows", 3), ("done", [])]


def test_a_missing_contact_is_the_users_to_mend(worker: Connection, tmp_path: Path) -> None:
    (said,) = answers(worker, tmp_path, "stranger")
    assert said[0] == "refused"
    assert "--contact is missing" in str(said[1])


def test_an_item_that_raises_is_set_aside_and_the_others_are_done(
    worker: Connection, tmp_path: Path
) -> None:
    said = answers(worker, tmp_path, "broken", "three")
    assert said == [("rows", 5), ("done", [("broken", "ValueError: the word is broken")])]


def test_what_befalls_one_item_after_another_fails_the_build_by_name(
    worker: Connection, tmp_path: Path
) -> None:
    (said,) = answers(worker, tmp_path, *["broken"] * (MAX_SET_ASIDE + 1))
    assert said == ("failed", "ValueError: the word is broken")
