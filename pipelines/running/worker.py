"""What a worker process of the local engine does: run shares until the pipe closes."""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

import apache_beam as beam
import cv2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipelines import progress
from pipelines.dead_letters import MAX_SET_ASIDE, describe_fault
from pipelines.doors import NO_SPACE
from pipelines.fetching.refused import ContactRequired
from pipelines.running.beam_job import RunItem
from pipelines.steps import ItemRunner, Work

Fault = tuple[str, str]
"""The name of the file that an item would have become, and what is wrong."""

_raised: list[Exception] = []  # Beam hands on only the text of an exception
_set_aside: list[Fault] = []
"""Items of the share that could not be done."""


class NotingRunItem(RunItem):
    """`RunItem`, leaving what it raises where this process finds it."""

    def setup(self) -> None:
        self._runner = ItemRunner(self._work, self._put_aside)

    def process(self, item: Any) -> Iterator[int]:
        with note_errors():
            yield from super().process(item)

    def finish_bundle(self) -> Iterator[Any]:
        with note_errors():
            yield from super().finish_bundle()

    def _put_aside(self, item: Any, error: Exception) -> None:
        """One item's fault costs that item; what would befall the others too ends the share."""
        full = isinstance(error, OSError) and error.errno in NO_SPACE
        if full or isinstance(error, ContactRequired) or len(_set_aside) == MAX_SET_ASIDE:
            raise error
        _set_aside.append((self._work.output(item).name, describe_fault(error)))


@contextlib.contextmanager
def note_errors() -> Iterator[None]:
    try:
        yield
    except Exception as err:
        _raised.append(err)
        raise


def run_share(work: Work, items: Sequence[Any]) -> list[Fault]:
    """Run items as a Beam pipeline in this process; returns those that could not be done."""
    _set_aside.clear()
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = pipeline | beam.Create(items, reshuffle=False) | beam.ParDo(NotingRunItem(work))
    return list(_set_aside)


def serve(connection: Connection) -> None:
    """A worker process: run the shares that arrive until the pipe closes."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    cv2.setNumThreads(1)  # there is a process per core already
    progress.attach(lambda rows: connection.send(("rows", rows)))
    while True:
        try:
            work, items = connection.recv()
        except EOFError:
            return
        try:
            faults = run_share(work, items)
        except Exception as err:  # handed to the parent, which raises it
            first = _raised[0] if _raised else err
            if isinstance(first, ContactRequired):
                connection.send(("refused", str(first)))
            else:
                connection.send(("failed", describe_fault(first)))
        else:
            progress.flush()
            connection.send(("done", faults))


def _die_with_parent() -> None:
    """A parent killed with -9 cannot stop its workers: they watch it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
