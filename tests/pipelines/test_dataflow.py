"""Every stage as the job that Dataflow would get, laid out offline by Beam's dry run."""

from collections.abc import Iterator
from dataclasses import replace

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2

from pipelines.corpus import Build, Tokenizers
from pipelines.flow import PLANS
from pipelines.recipe import load_recipe
from pipelines.running.beam_job import build_pipeline, job_name
from pipelines.sources import Source
from pipelines.steps import Job
from pipelines.web.settings import FetchSettings
from tokens.manifest import FileEntry, Manifest
from tokens.numerics import REFERENCE
from tokens.sequence import SequenceLayout

NUM_UNITS = 300

STEPS = {
    "fetch": ["Fetch Images"],
    "score": ["Score Pairs"],
    "select": ["Scatter Keys", "Find Duplicates", "Judge Rows", "Decide Rows"],
    "encode": ["Order Pairs", "Cut Shards", "Encode Pairs", "Write Shards"],
}


def make_manifest(stage: str) -> Manifest:
    """What a stage of 300 full units would have published."""
    files = tuple(
        FileEntry(f"{n:05d}-0123abcd.parquet", "", n, 10_000, 1, f"{n:064x}", {}, {"train": 9_000})
        for n in range(NUM_UNITS)
    )
    return Manifest(stage, 1, files, {}, {}, "", {"sources": []})


@pytest.fixture(scope="module")
def jobs() -> dict[str, Job]:
    """All four jobs of one build in a bucket."""
    hashes = {"text_tokenizer_sha256": "a", "image_tokenizer_sha256": "b"}
    details = hashes | {"numerics": str(REFERENCE)}
    layout = SequenceLayout(grid_height=16, grid_width=16)
    build = Build(
        directory="gs://bucket/corpus",
        recipe=load_recipe("demo"),
        sources=(Source("gs://bucket/urls.csv"),),
        stages=tuple(PLANS),
        limit=None,
        fetch=FetchSettings(contact="me@example.org"),
        fetch_engine="pairmill",
        models={},
        tokenizers=Tokenizers(
            "gs://bucket/t.json", "gs://bucket/i.safetensors", layout, REFERENCE, details
        ),
    )
    done = {stage: make_manifest(stage) for stage in ("rows", "fetch", "score", "select")}
    strict = PLANS["select"](replace(build, recipe=load_recipe("strict")), done)
    return {stage: plan(build, done) for stage, plan in PLANS.items()} | {"strict select": strict}


def lay_out(job: Job) -> beam_runner_api_pb2.Pipeline:
    """The job's graph as the service would receive it."""
    options = PipelineOptions(
        [
            "--runner=DataflowRunner",
            "--project=my-project",
            "--region=europe-west4",
            "--temp_location=gs://bucket/tmp",
            f"--job_name={job_name(job)}",
            "--dry_run=True",
            "--no_auth",
            "--sdk_location=container",
        ]
    )
    pipeline = beam.Pipeline(options=options)
    build_pipeline(pipeline, job)
    return pipeline.run().job.proto_pipeline


def top_steps(graph: beam_runner_api_pb2.Pipeline) -> Iterator[str]:
    """Labels of the outermost steps, in order."""
    root = graph.components.transforms[graph.root_transform_ids[0]]
    for name in root.subtransforms:
        yield graph.components.transforms[name].unique_name


@pytest.mark.parametrize("stage", STEPS)
def test_a_stage_is_one_job_of_its_steps_in_order(jobs: dict[str, Job], stage: str) -> None:
    steps = [label for label in top_steps(lay_out(jobs[stage])) if not label.startswith("List ")]
    assert steps == [*STEPS[stage], "Publish Manifest"]


@pytest.mark.parametrize("stage", STEPS)
def test_a_step_waits_for_the_one_before_it(jobs: dict[str, Job], stage: str) -> None:
    transforms = lay_out(jobs[stage]).components.transforms.values()
    waiting = {t.unique_name for t in transforms if len(t.inputs) == 2}
    assert waiting >= {f"List {label}" for label in STEPS[stage][1:]}


@pytest.mark.parametrize("stage", STEPS)
def test_a_graph_of_three_million_rows_stays_small(jobs: dict[str, Job], stage: str) -> None:
    size = lay_out(jobs[stage]).ByteSize()
    assert size < 1_000_000, f"{size} bytes: Dataflow takes 10 MB"


def test_a_graph_with_every_comparison_stays_small(jobs: dict[str, Job]) -> None:
    size = lay_out(jobs["strict select"]).ByteSize()
    assert size < 2_000_000, f"{size} bytes: Dataflow takes 10 MB"


def test_items_are_descriptors_and_hold_no_bytes(jobs: dict[str, Job]) -> None:
    for stage in STEPS:
        for step in jobs[stage].steps:
            for item in step.items:
                assert b"bytes" not in repr(type(item)).encode()
                assert len(repr(item)) < 2_000
