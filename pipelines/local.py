"""The local engine: one process per core, each with its own Beam runner over its share of units.

Beam 2.77's own ways do not serve here: its DirectRunner switch tries to download a runner, and
its multi_processing mode hangs for ever when a worker dies. So `--runner DirectRunner` is this:
worker processes that live as long as the build, forked from one that has imported Beam
(`pipelines.fork_server`), each running a small pipeline on Beam's FnApiRunner per step
(`pipelines.worker`); one that dies (out of memory, kill -9) is started again and goes on with
what is not committed. Three deaths in a row without a finished item end the build.
"""

from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Self

from pipelines import fork_server, progress
from pipelines.doors import BadInput
from pipelines.steps import Job, Step
from tokens.manifest import Manifest

MAX_DEATHS = 3
"""Deaths of one worker without a finished item between them."""


def serve(connection: Connection) -> None:
    """A worker process, forked with all that it needs imported."""
    from pipelines import worker  # of Beam, which the driver does without

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

    @classmethod
    def start(cls) -> Self:
        fork_server.start()  # again, if somebody has killed it
        ours, theirs = fork_server.context.Pipe()
        process = fork_server.context.Process(target=serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        return cls(process, ours)

    def give(self, step: Step, share: tuple[Any, ...]) -> None:
        self.share, self.unfinished, self.busy = share, len(share), True
        self.connection.send((step.work_of(self.number), share))


@dataclass
class LocalEngine:
    """Runs a job's steps on `processes` local processes."""

    processes: int
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
        for step in job.steps:
            self._run_step(step)
        return job.publish()

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

    def _hear(self, worker: Worker, step: Step, line: progress.ProgressLine) -> None:
        try:
            kind, value = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            self._revive(worker, step)
            return
        if kind == "rows":
            line.advance(value)
        elif kind == "refused":
            raise BadInput(value)
        elif kind == "failed":
            raise RuntimeError(f"{step.label}: {value}")
        else:
            worker.busy = False

    def _revive(self, worker: Worker, step: Step) -> None:
        """Start a dead worker again on what its share still lacks."""
        worker.process.join()
        code = worker.process.exitcode
        left = Step(step.label, step.work, worker.share).unfinished()
        worker.deaths = worker.deaths + 1 if len(left) == worker.unfinished else 1
        if worker.deaths >= MAX_DEATHS:
            raise RuntimeError(
                f"{step.label}: the worker process died {worker.deaths} times in a row (exit code "
                f"{code}) with nothing finished in between; the next item was {left[0]!r:.300}"
            )
        fresh = Worker.start()
        worker.process, worker.connection = fresh.process, fresh.connection
        worker.give(step, left)
