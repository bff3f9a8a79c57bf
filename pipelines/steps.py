"""How a stage runs: steps of work items, each item a pure function of committed files.

A stage is a `Job`: steps in order, and a last act that publishes the manifest. Every step
waits for the one before it. An item's function writes one committed file, so an item may
run twice, on any machine, in any order, and the result is the same bytes.

On the local runner `pipelines.running.local` runs a step's items in one process per core. On any
other runner the whole job is one Beam pipeline (`pipelines.running.beam_job`). Nothing here imports
Beam, so that a door that only plans and listens does not pay for it.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from pipelines.commit import Output, read_record
from pipelines.publishing import PublishFiles
from tokens.manifest import Manifest


@runtime_checkable  # Beam checks what a step is given against its annotation
class Work(Protocol):
    """One step's plain function with its settings: a frozen dataclass that Beam can pickle."""

    def output(self, item: Any) -> Output:
        """Where the item's file goes."""

    def rows(self, item: Any) -> int:
        """How many rows the item is, for progress."""

    def __call__(self, item: Any) -> None:
        """Write the item's file and record."""


class Session(Protocol):
    """What a process holds while it works on a step: connections, processes of its own."""

    def do(self, item: Any) -> None:
        """As the work's own call; from any thread."""

    def has_room(self) -> bool:
        """Another item would find something to do."""


@runtime_checkable
class SessionWork(Work, Protocol):
    """Work whose items wait more than they work, so that a process has several of them open."""

    max_open_items: int

    def open(self) -> AbstractContextManager[Session]: ...


@runtime_checkable
class PlacedWork(Work, Protocol):
    """Work of which each process of a machine has a place of its own: its GPU."""

    def on_process(self, number: int) -> Work: ...


@dataclass(frozen=True, slots=True)
class Step:
    """Items that may run in any order; the label is the Beam step's name."""

    label: str
    work: Work
    items: tuple[Any, ...]
    max_processes: int | None = None
    """Of the local engine; None: all that it has."""

    def work_of(self, process: int) -> Work:
        """The work as process number `process` of this machine does it."""
        return self.work.on_process(process) if isinstance(self.work, PlacedWork) else self.work

    def unfinished(self) -> tuple[Any, ...]:
        """The items whose files are not committed yet."""
        return tuple(i for i in self.items if read_record(self.work.output(i)) is None)


@dataclass(frozen=True, slots=True)
class Job:
    """One stage, ready to run."""

    steps: tuple[Step, ...]
    publish: PublishFiles

    @property
    def stage(self) -> str:
        return self.publish.generation.stage


class Engine(Protocol):
    """Whatever can run a job to its end."""

    def run(self, job: Job) -> Manifest: ...


ROOM_POLL_S = 0.05
ROOM_POLLS = 6
"""Room must last for 0.3 s: an item that has just been opened is still reading its rows."""


SetAside = Callable[[Any, Exception], None]
"""Told of an item and what it raised; raises that again where no other item shall be done."""


class ItemRunner:
    """Does a step's items in this process: one after another, or several at a time in a session.

    Args:
        set_aside: what becomes of an item that raises; without it, it ends everything.
    """

    def __init__(self, work: Work, set_aside: SetAside | None = None) -> None:
        self._work, self._do, self._set_aside = work, work.__call__, set_aside
        self._open: list[Future[int]] = []
        self._session: Session | None = None
        if isinstance(work, SessionWork):
            self._context = work.open()
            self._session = self._context.__enter__()
            self._do = self._session.do
            self._max_open_items = work.max_open_items
            self._threads = ThreadPoolExecutor(work.max_open_items, thread_name_prefix="item")

    def begin(self, item: Any) -> Iterator[int]:
        """Do an item, or begin it; yields the rows of each item that has ended since."""
        if self._session is None:
            yield self._run(item)
            return
        self._open.append(self._threads.submit(self._run, item))
        self._wait_for_room(self._session)
        ended = [one for one in self._open if one.done()]
        self._open = [one for one in self._open if one not in ended]
        yield from (one.result() for one in ended)

    def finish(self) -> Iterator[int]:
        """Wait for every item that is open, and yield its rows."""
        ended, self._open = self._open, []
        yield from (one.result() for one in ended)

    def close(self) -> None:
        """Let go of everything; items that are still open (after a failure) are broken off."""
        if self._session is not None:
            self._context.__exit__(None, None, None)
            self._threads.shutdown(cancel_futures=True)

    def _wait_for_room(self, session: Session) -> None:
        """Until an item has ended, or the open ones leave room for some time."""
        calm = 0
        while calm < ROOM_POLLS and not any(one.done() for one in self._open):
            time.sleep(ROOM_POLL_S)
            full = len(self._open) >= self._max_open_items
            calm = 0 if full or not session.has_room() else calm + 1

    def _run(self, item: Any) -> int:
        """Do one item unless it is done."""
        try:
            if read_record(self._work.output(item)) is None:
                self._do(item)
        except Exception as error:
            if self._set_aside is None:
                raise
            self._set_aside(item, error)
        return self._work.rows(item)


class Stopwatch:
    """Seconds since it was made, for an item's record."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def seconds(self) -> float:
        return round(time.monotonic() - self._start, 3)
