"""A whole build in this process: pictures at hand, a few rows, all four stages, in seconds.

Nothing is dialled and no process is started: a picture is decoded here, for it is one of ours.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import steps
from pipelines.corpus import Build, settle
from pipelines.decoding.picture import DecodeLimits, Picture, StoredImage
from pipelines.fetching import session as fetch_session
from pipelines.flow import PLANS, cut_sources, run_stage, run_stages
from pipelines.imaging import make_picture
from pipelines.options import make_parser
from pipelines.steps import ItemRunner, Job
from tests.pipelines.inputs.picture_files import saved, smooth
from tokens.manifest import Manifest

RECIPE = """
[fetch]
unit_rows = 3
stored_side_px = 64

[select]
validation_share = 0.3
exact_duplicates = ["bytes"]

[select.near_duplicates]

[[select.rules]]
filter = "caption_length"
min_chars = 3
min_words = 1

[[select.rules]]
filter = "short_side"
min_side_px = 64

[encode]
side_px = 64
views = 2
text_slots = 16
image_tokenizer = "bundled"
"""
ROWS = 8


def draw_rows(rows: int = ROWS) -> dict[str, list[Any]]:
    """Pictures with captions; the last row is the first one again."""
    numbers = [*range(rows - 1), 0] if rows > 1 else list(range(rows))
    return {
        "url": [f"http://h.example/{n}.png" for n in numbers],
        "caption": [f"the picture with number {n}" for n in numbers],
        "image": [saved(smooth(80, 70, 7 * n + 1), "PNG") for n in numbers],
    }


def write_source(folder: Path, columns: dict[str, Any] | None = None) -> Path:
    """A table that holds its pictures, and the recipe beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small.toml").write_text(RECIPE)
    columns = draw_rows() if columns is None else columns
    types = {"url": pa.string(), "caption": pa.string(), "image": pa.binary()}
    table = pa.table(
        {
            name: values if isinstance(values, pa.Array) else pa.array(values, types.get(name))
            for name, values in columns.items()
        }
    )
    pq.write_table(table, folder / "pictures.parquet")
    return folder / "pictures.parquet"


def flags(source: Path, output: Path | str, more: Sequence[str] = ()) -> list[str]:
    """The door's."""
    return [
        *("--input", str(source), "--output", str(output)),
        *("--recipe", str(source.with_name("small.toml")), "--image_column", "image", *more),
    ]


def settle_build(source: Path, output: Path | str, more: Sequence[str] = ()) -> Build:
    return settle(make_parser("").parse_args(flags(source, output, more)))


@dataclass
class InlineDecoders:
    """In the place of `decoders.Decoders`."""

    processes: int
    limits: DecodeLimits
    image: StoredImage
    timeout_s: float
    memory_bytes: int

    def make_picture(self, body: bytes, face_boxes: Sequence[float] = ()) -> Picture:
        return make_picture(body, self.limits, self.image, face_boxes)

    def close(self) -> None:
        pass


@pytest.fixture
def inline_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    decode_inline(monkeypatch)


def decode_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_session, "Decoders", InlineDecoders)
    monkeypatch.setattr(steps, "ROOM_POLL_S", 0.001)


@dataclass
class InProcess(AbstractContextManager["InProcess"]):
    """An engine that does a step's items here, in the order that it is told."""

    order: Callable[[Sequence[Any]], Sequence[Any]] = tuple

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, job: Job) -> Manifest:
        for step in job.steps:
            runner = ItemRunner(step.work)
            try:
                for item in self.order(step.unfinished()):
                    list(runner.begin(item))
                list(runner.finish())
            finally:
                runner.close()
        return job.publish()


def build_here(
    source: Path, output: Path | str, more: Sequence[str] = (), engine: InProcess | None = None
) -> dict[str, Manifest]:
    """All stages; returns their manifests."""
    return run_stages(settle_build(source, output, more), engine or InProcess())[0]


def run_one_stage(build: Build, stage: str, done: dict[str, Manifest]) -> Manifest:
    """One stage of a build whose earlier ones are `done`."""
    return run_stage(PLANS[stage](build, done), InProcess())


def start_build(build: Build) -> dict[str, Manifest]:
    """A build's rows."""
    return {"rows": cut_sources(build)}


def read_corpus(directory: Path) -> dict[str, Any]:
    """Every file of a build by its name, without what may differ: timings and killed writes."""
    found = [path for path in directory.rglob("*") if path.is_file()]
    kept = [path for path in found if not path.name.endswith(".tmp")]
    return {str(path.relative_to(directory)): _read(path) for path in sorted(kept)}


def _read(path: Path) -> Any:
    is_record = path.name.endswith((".parquet.json", ".arrow.json", ".bin.json"))
    return json.loads(path.read_text())["entry"] if is_record else path.read_bytes()
