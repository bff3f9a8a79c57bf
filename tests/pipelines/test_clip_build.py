"""The build's door with a recipe that names a CLIP model."""

from pathlib import Path

import pytest

from filters.signals.clip import CLIP_TYPES, EMBEDDINGS
from tests.filters.signals.clip_models import linear_head, write_head, write_model
from tests.pipelines.conftest import Site, run_build
from tokens.manifest import read_manifest, read_table

RULE = """
[[select.rules]]
filter = "clip_similarity"
min_similarity = -1
"""


def write_recipe(path: Path, recipe: Path, table: str) -> Path:
    path.write_text(recipe.read_text() + RULE + f"\n[score.clip]\n{table}\n")
    return path


@pytest.mark.slow  # open_clip's import takes seconds, in the driver and in each worker
@pytest.mark.timeout(600)
def test_a_build_scores_by_clip_on_two_workers(site: Site, recipe: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    head = write_head(tmp_path / "aesthetic.safetensors", linear_head())
    settings = f'model = "{model}"\naesthetic_weights = "{head}"\nstore_embeddings = "fp16"'
    named = write_recipe(tmp_path / "clip.toml", recipe, settings)
    table, more = site.write_table(tmp_path / "urls.csv"), ["--direct_num_workers", "2"]

    done = run_build(table, tmp_path / "corpus", named, site, [*more, "--until", "select"])

    assert done.returncode == 0, done.stderr
    manifest = read_manifest(str(tmp_path / "corpus" / "signals"))
    assert set(manifest.details["models"]["clip"]) >= {"weights_sha256", "numerics", "torch"}
    scored = [name for name in (*CLIP_TYPES, *EMBEDDINGS) if name != "nsfw_score"]
    for entry in manifest.files:
        signals = read_table(str(tmp_path / "corpus" / "signals"), entry)
        assert signals.column_names[-len(scored) :] == scored
        assert {signals[name].null_count for name in scored} == {signals["phash"].null_count}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param("", "names no weights for ViT-B-32: give weights = ", id="no weights"),
        pytest.param(
            'model = "local-dir:/gone"',
            "/gone/open_clip_config.json is no configuration",
            id="gone",
        ),
    ],
)
def test_without_a_checkpoint_nothing_is_asked_for(
    site: Site, recipe: Path, tmp_path: Path, settings: str, message: str
) -> None:
    named = write_recipe(tmp_path / "clip.toml", recipe, settings)
    table = site.write_table(tmp_path / "urls.csv")

    done = run_build(table, tmp_path / "corpus", named, site, ["--until", "score"])

    assert done.returncode == 2
    assert message in done.stderr and done.stderr.count("\n") == 1
    assert not site.hits and not (tmp_path / "corpus").exists()
