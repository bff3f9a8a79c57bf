"""How a stage runs: steps of work items, each item a pure function of committed files.

A stage is a `Job`: steps in order, and a last act that publishes the manifest. Every step
waits for the one before it. An item's function writes one committed file, so an item may
run twice, on any machine, in any order, and the result is the same bytes.

On the local runner `pipelines.local` runs a step's items in one process per core. On any
other runner the whole job is one Beam pipeline, built here: the elements are descriptors
(a unit's number and file names), never pictures.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import apache_beam as beam

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


@dataclass(frozen=True, slots=True)
class Step:
    """Items that may run in any order; the label is the Beam step's name."""

    label: str
    work: Work
    items: tuple[Any, ...]

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


def run_item(item: Any, work: Work) -> int:
    """Do one item unless it is done; returns its rows."""
    if read_record(work.output(item)) is None:
        work(item)
    return work.rows(item)


class Stopwatch:
    """Seconds since it was made, for an item's record."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def seconds(self) -> float:
        return round(time.monotonic() - self._start, 3)


@dataclass
class RunItems(beam.PTransform):  # type: ignore[misc]  # Beam is untyped
    """Run a step's items. In: items. Out: one number, the rows of all items."""

    work: Work

    def expand(self, items: beam.PCollection) -> beam.PCollection:
        return (
            items
            | "Spread Items" >> beam.Reshuffle()  # or all items would share one worker
            | "Run Item" >> beam.Map(run_item, self.work)
            | "Add Rows" >> beam.CombineGlobally(sum)
        )


def list_items(pipeline: beam.Pipeline, step: Step, before: beam.PCollection | None) -> Any:
    """A step's items; with `before`, not until the step before it has ended."""
    label = f"List {step.label}"
    if before is None:
        return pipeline | label >> beam.Create(step.items)
    wait = beam.pvalue.AsSingleton(before)
    return (
        pipeline
        | f"{label} In Order" >> beam.Create([step.items])
        | label >> beam.FlatMap(lambda items, _rows: items, wait)
    )


def build_pipeline(pipeline: beam.Pipeline, job: Job) -> None:
    """Lay a whole job out as one Beam pipeline; its last step publishes the manifest."""
    rows: beam.PCollection | None = None
    for step in job.steps:
        rows = list_items(pipeline, step, rows) | step.label >> RunItems(step.work)
    assert rows is not None, f"job {job.stage} has no steps"
    rows | "Publish Manifest" >> beam.Map(lambda _rows, publish: publish().generation, job.publish)


@dataclass(frozen=True, slots=True)
class BeamEngine:
    """Runs each job as one pipeline on the runner that the options name."""

    options: Sequence[str]

    def run(self, job: Job) -> Manifest:
        from apache_beam.options.pipeline_options import PipelineOptions  # slow, remote runs only

        options = PipelineOptions([*self.options, f"--job_name={job_name(job)}"])
        with beam.Pipeline(options=options) as pipeline:
            build_pipeline(pipeline, job)
        return job.publish()


def job_name(job: Job) -> str:
    """A name that Dataflow accepts: lower case, digits and dashes."""
    return f"pairmill-{job.stage}"
