"""A stage's job as Beam runs it.

The elements are descriptors (a unit's number and file names), never pictures. A process of the
local engine runs `RunItem` over its share of a step; on any other runner the whole job is one
pipeline.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import GlobalWindows

from pipelines.steps import ItemRunner, Job, Step, Work
from tokens.manifest import Manifest


class RunItem(beam.DoFn):  # type: ignore[misc]  # Beam is untyped
    """An `ItemRunner` for as long as Beam keeps this worker. In: items. Out: rows of each."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def setup(self) -> None:
        self._runner = ItemRunner(self._work)

    def process(self, item: Any) -> Iterator[int]:
        yield from self._runner.begin(item)

    def finish_bundle(self) -> Iterator[Any]:
        yield from map(GlobalWindows.windowed_value, self._runner.finish())

    def teardown(self) -> None:
        self._runner.close()


@dataclass
class RunItems(beam.PTransform):  # type: ignore[misc]  # Beam is untyped
    """Run a step's items. In: items. Out: one number, the rows of all items."""

    work: Work

    def expand(self, items: beam.PCollection) -> beam.PCollection:
        return (
            items
            | "Spread Items" >> beam.Reshuffle()  # or all items would share one worker
            | "Run Item" >> beam.ParDo(RunItem(self.work))
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
        options = PipelineOptions([*self.options, f"--job_name={job_name(job)}"])
        with beam.Pipeline(options=options) as pipeline:
            build_pipeline(pipeline, job)
        return job.publish()


def job_name(job: Job) -> str:
    """A name that Dataflow accepts: lower case, digits and dashes."""
    return f"pairmill-{job.stage}"
