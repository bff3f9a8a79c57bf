"""The score stage with a CLIP model: a unit's file, its record, and what a worker must agree on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from filters.signals.clip import EMBEDDING_TYPE, Clip
from pipelines.commit import Output, Written, commit_table
from pipelines.recipe_sections import ScoreSection
from pipelines.score import ScoreUnit
from tests.filters.signals.clip_models import WIDTH, write_model
from tests.pipelines.test_score import ROWS, make_pairs
from tokens.manifest import FileEntry, read_table

SIGNALS = ("phash", "flat_ratio", "clip_similarity", "clip_image_embedding")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    model = write_model(tmp_path_factory.mktemp("clip"))
    return Clip(model, device="cpu", precision="fp32", store_embeddings="fp16")


def score(
    folder: Path, section: ScoreSection, models: dict[str, dict[str, str]]
) -> tuple[pa.Table, dict[str, Any], bytes]:
    """A unit of pairs through the stage's own work item: its table, its side record, its bytes."""
    pairs = pa.concat_tables([make_pairs(ROWS)] * 30)
    entry = commit_table(Output(str(folder / "pairs"), "0.parquet"), pairs, Written(len(pairs)))
    unit = ScoreUnit(str(folder / "pairs"), str(folder / "signals"), "section", section, models)

    unit(entry)

    record = json.loads(Path(unit.output(entry).url + ".json").read_text())
    table = read_table(unit.folder, FileEntry(**record["entry"]))
    return table, record["side"], Path(unit.output(entry).url).read_bytes()


def test_a_unit_has_the_models_columns_and_every_signals_time(clip: Clip, tmp_path: Path) -> None:
    section = ScoreSection(SIGNALS, clip=clip)
    table, side, _ = score(tmp_path, section, {"clip": clip.find()})

    assert table.column_names == ["pair_id", *SIGNALS]
    assert table["clip_image_embedding"].type == EMBEDDING_TYPE
    present = [picture is not None for _, picture in ROWS] * 30
    whole = [caption is not None and picture is not None for caption, picture in ROWS] * 30
    assert table["phash"].is_valid().to_pylist() == present
    for name in SIGNALS[2:]:
        assert table[name].is_valid().to_pylist() == whole
    assert set(side) == {"seconds", "signals"}
    assert set(side["signals"]) == {"phash", "flat_ratio", "clip_similarity"}
    assert 0 < side["signals"]["clip_similarity"] <= side["seconds"]


def test_stored_embeddings_have_the_length_of_one(clip: Clip, tmp_path: Path) -> None:
    table, *_ = score(tmp_path, ScoreSection(SIGNALS, clip=clip), {"clip": clip.find()})
    vectors = table["clip_image_embedding"].combine_chunks().drop_null().flatten().to_numpy()
    lengths = np.linalg.norm(vectors.astype(np.float32).reshape(-1, WIDTH), axis=1)
    assert lengths == pytest.approx([1.0] * 60, abs=1e-3)


def test_two_runs_write_the_same_bytes(clip: Clip, tmp_path: Path) -> None:
    section, models = ScoreSection(SIGNALS, clip=clip), {"clip": clip.find()}
    *_, first = score(tmp_path / "a", section, models)
    *_, second = score(tmp_path / "b", section, models)
    assert first == second


def test_a_worker_that_computes_otherwise_stops(clip: Clip, tmp_path: Path) -> None:
    settled = clip.find() | {"numerics": "bf16-cuda"}
    with pytest.raises(ValueError, match=r"\[score.clip\]: numerics is 'fp32-cpu' in this worker"):
        score(tmp_path, ScoreSection(SIGNALS, clip=clip), {"clip": settled})
