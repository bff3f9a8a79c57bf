"""The select stage with everything in it, on this machine's processes and as one Beam pipeline."""

from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest

from filters.signals.clip import EMBEDDING_TYPE
from pipelines.running.beam_job import BeamEngine
from pipelines.running.local import LocalEngine
from tests.pipelines.selecting.select_corpus import (
    SHORT_SIDE,
    Picture,
    plan,
    read_decisions,
    run,
    write_corpus,
)

CLIP = {"clip": {"weights": "none.safetensors", "store_embeddings": "fp16"}}
UNITS = [
    [Picture(0), Picture(0b111, caption="a boat"), Picture(0xFF << 40, bytes=4)],
    [Picture(0xFF << 40, bytes=4), Picture(0xFFFF << 20, caption="a  Boat"), Picture(7 << 50, 100)],
]


def make_job(folder: Path, pictures: Path):
    draws = np.random.default_rng(0)
    rows = draws.standard_normal((6, 8)).astype(np.float16).tolist()
    columns = {"clip_image_embedding": lambda n: pa.array(rows[3 * n : 3 * n + 3], EMBEDDING_TYPE)}
    section = {
        "rules": [SHORT_SIDE, {"filter": "caption_repetition", "max_rows": 5}],
        "exact_duplicates": ["bytes", "pixels", "phash_caption"],
        "near_duplicates": {},
        "semantic_duplicates": {},
        "eval_sets": [{"name": "grey", "pictures": str(pictures), "action": "list"}],
        "split_by": "cluster",
    }
    return plan(folder, write_corpus(folder, UNITS, columns), section, CLIP)


def digest(folder: Path) -> dict[str, bytes]:
    files = [path for path in (folder / "decisions").rglob("*") if path.is_file()]
    return {path.name: path.read_bytes() for path in files if path.suffix != ".json"}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "eval"
    folder.mkdir()
    grey = np.random.default_rng(0).integers(0, 255, (300, 300), np.uint8)
    cv2.imwrite(str(folder / "grey.png"), grey)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_same_bytes_on_every_engine(tmp_path: Path, pictures: Path):
    here = tmp_path / "here"
    run(make_job(here, pictures))
    assert [reason for reason, _ in read_decisions(here)] == [
        *("kept", "near_duplicate", "kept", "duplicate_bytes", "kept", "short_side")
    ]
    with LocalEngine(2) as engine:
        engine.run(make_job(tmp_path / "local", pictures))
    BeamEngine(["--runner=FnApiRunner"]).run(make_job(tmp_path / "beam", pictures))
    assert len(digest(here)) == 2 + 3, "two units, clusters, overlap, what is left of the set"
    assert digest(tmp_path / "local") == digest(here) == digest(tmp_path / "beam")
