"""How one process works on a step's items."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipelines.commit import Output, Written, commit_file
from pipelines.steps import ItemRunner, SessionWork


@dataclass(frozen=True)
class Letters:
    """Writes a file per word; its sessions are noted in `log`."""

    folder: str
    log: list[str] = field(default_factory=list)
    max_open_items: int = 2
    met: threading.Barrier = field(default_factory=lambda: threading.Barrier(2))

    def output(self, item: str) -> Output:
        return Output(self.folder, item)

    def rows(self, item: str) -> int:
        return len(item)

    def __call__(self, item: str) -> None:
        commit_file(self.output(item), lambda sink: None, Written(len(item)))

    @contextlib.contextmanager
    def open(self) -> Iterator["LettersSession"]:
        self.log.append("opened")
        yield LettersSession(self)
        self.log.append("closed")


@dataclass
class LettersSession:
    work: Letters

    def do(self, item: str) -> None:
        if item == "broken":
            raise ValueError("the word is broken")
        if item.startswith("pair"):
            self.work.met.wait(20)  # for the other one: neither ends alone
        self.work(item)

    def has_room(self) -> bool:
        return True


def run_all(work: Letters, *words: str) -> list[int]:
    runner = ItemRunner(work)
    try:
        rows = [rows for word in words for rows in runner.begin(word)]
        return rows + list(runner.finish())
    finally:
        runner.close()


def test_a_session_is_opened_once_and_closed(tmp_path: Path) -> None:
    work = Letters(str(tmp_path))
    assert isinstance(work, SessionWork)

    assert sorted(run_all(work, "one", "three", "fifteen")) == [3, 5, 7]
    assert work.log == ["opened", "closed"]
    assert {path.name for path in tmp_path.iterdir()} >= {"one", "three", "fifteen"}


def test_two_items_are_open_at_once_where_there_is_room(tmp_path: Path) -> None:
    assert run_all(Letters(str(tmp_path)), "pair of shoes", "pair of eyes") == [13, 12]


def test_an_item_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    work = Letters(str(tmp_path))
    work("pair")  # would wait for ever for the other one

    assert run_all(work, "pair") == [4]


def test_an_item_that_fails_is_told_and_the_session_closed(tmp_path: Path) -> None:
    work = Letters(str(tmp_path))

    with pytest.raises(ValueError, match="the word is broken"):
        run_all(work, "one", "broken", "three")
    assert work.log == ["opened", "closed"]
