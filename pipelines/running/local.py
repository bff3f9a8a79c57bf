"""The local engine: one process per core, each with its own Beam runner over its share of units.

Beam 2.77's own ways do not serve here: its DirectRunner switch tries to download a runner, and
its multi_processing mode hangs for ever when a worker dies. So `--runner DirectRunner` is this:
worker processes that live as long as the build, forked from one that has imported Beam
(`pipelines.running.fork_server`), each running a small pipeline on Beam's FnApiRunner per step
(`pipelines.running.worker`); one that dies (out of memory, kill -9) or is stuck is started again
and goes on with what is not committed. An item that raises, or at which a worker dies three times
in a row, is set aside (`pipelines.dead_letters`): the step's others are finished before the build
ends.
"""

import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Self

from pipelines import progress
from pipelines.dead_letters import MAX_SET_ASIDE, DeadLetter, remove_letters, write_letters
from pipelines.doors import BadInput, BuildFailed
from pipelines.running import fork_server
from pipelines.steps import Job, Step
from tokens.manifest import Manifest

MAX_DEATHS = 3
"""Deaths of one worker without a finished item between them."""
STUCK_S = 3600.0
"""Ours: a worker that tells of no row for so long is killed. A host may ask for 300 s of rest three
times over (`FetchSettings`), and no other row need be left."""


def serve(connection: Connection) -> None:
    """A worker process, forked with all that it needs imported."""
    from pipelines.running import worker  # of Beam, which the driver does without

    worker.serve(connection)


@dataclass(slots=True)
class Worker:
    """One process and the share of a step that it works on."""

    process: Any
    connection: Connection
    number: int = 0
    share: tuple[Any, ...] = ()
    unfinished: int = 0
    deaths: int = 0
    busy: bool = False
    heard_at: float = 0.0
    stuck: bool = False

    @classmethod
    def start(cls) -> Self:
        ours, theirs = fork_server.context.Pipe()
        process = fork_server.fork(serve, theirs)
        theirs.close()
        return cls(process, ours)

    def give(self, step: Step, share: tuple[Any, ...]) -> None:
        self.share, self.unfinished, self.busy = share, len(share), True
        self.heard_at, self.stuck = time.monotonic(), False
        self.connection.send((step.work_of(self.number), share))

    def kill_if_stuck(self, patience_s: float) -> None:
        """End a process that has told nothing for so long; its connection then tells of its end."""
        if not self.stuck and time.monotonic() - self.heard_at > patience_s:
            self.stuck = True
            self.process.kill()

    def describe_end(self) -> str:
        """How the process ended, which it has."""
        self.process.join()
        code = self.process.exitcode
        if self.stuck:
            return "it told of no row for too long and was killed"
        return f"exit code {code}" + (" (kill -9, or out of memory)" if code == -9 else "")


@dataclass
class LocalEngine:
    """Runs a job's steps on `processes` local processes."""

    processes: int
    stuck_s: float = STUCK_S
    _letters: list[DeadLetter] = field(default_factory=list)
    _workers: list[Worker] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(5.0)
            worker.process.kill()

    def run(self, job: Job) -> Manifest:
        fork_server.start()
        directory = job.publish.generation.folder.rstrip("/").rpartition("/")[0]
        for step in job.steps:
            self._run_step(step)
            if self._letters:
                self._fail(step, write_letters(directory, self._letters))
        manifest = job.publish()
        remove_letters(directory)
        return manifest

    def _fail(self, step: Step, url: str) -> None:
        raise BuildFailed(
            f"{step.label}: {len(self._letters)} of {len(step.items)} items could not be done, the "
            f"others are finished; {url} names them, first {self._letters[0].line()}"
        )

    def _run_step(self, step: Step) -> None:
        todo = step.unfinished()
        if not todo:
            return
        self._hand_out(step, todo)
        with progress.ProgressLine(step.label, sum(map(step.work.rows, todo))) as line:
            while any(worker.busy for worker in self._workers):
                self._listen(step, line)

    def _hand_out(self, step: Step, todo: tuple[Any, ...]) -> None:
        most = min(self.processes, step.max_processes or self.processes)
        while len(self._workers) < min(most, len(todo)):
            self._workers.append(Worker.start())
        workers = self._workers[:most]
        for number, worker in enumerate(workers):
            share = todo[number :: len(workers)]
            worker.number, worker.deaths = number, 0
            if share:
                worker.give(step, share)

    def _listen(self, step: Step, line: progress.ProgressLine) -> None:
        busy = [worker for worker in self._workers if worker.busy]
        ready = wait([worker.connection for worker in busy], timeout=1.0)
        for worker in busy:
            if worker.connection in ready:
                self._hear(worker, step, line)
            else:
                worker.kill_if_stuck(self.stuck_s)

    def _hear(self, worker: Worker, step: Step, line: progress.ProgressLine) -> None:
        try:
            kind, value = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            self._revive(worker, step)
            return
        worker.heard_at = time.monotonic()
        if kind == "rows":
            line.advance(value)
        elif kind == "refused":
            raise BadInput(value)
        elif kind == "failed":
            raise BuildFailed(f"{step.label}: {value}; the same command goes on from here")
        else:
            self._letters += [DeadLetter(item, step.label, fault) for item, fault in value]
            worker.busy = False

    def _revive(self, worker: Worker, step: Step) -> None:
        """Start a dead worker again on what its share still lacks."""
        end = worker.describe_end()
        left = Step(step.label, step.work, worker.share).unfinished()
        worker.deaths = worker.deaths + 1 if len(left) == worker.unfinished else 1
        if left and worker.deaths >= MAX_DEATHS:
            self._bury(step, left[0], end)
            left, worker.deaths = left[1:], 0
        fresh = Worker.start()
        worker.process, worker.connection = fresh.process, fresh.connection
        if left:
            worker.give(step, left)
        else:
            worker.busy = False  # it died behind its last item

    def _bury(self, step: Step, item: Any, end: str) -> None:
        """Set an item aside at which a worker has died again and again."""
        fault = f"the worker process died {MAX_DEATHS} times in a row with nothing finished: {end}"
        name = step.work.output(item).name
        if len(self._letters) == MAX_SET_ASIDE:
            raise BuildFailed(f"{step.label}: {fault}; the next item was {name}")
        self._letters.append(DeadLetter(name, step.label, fault))
