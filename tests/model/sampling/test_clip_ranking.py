"""Scores by CLIP, against open_clip itself on small weights made here."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model.sample import main
from model.sampling.clip_ranking import ClipRanker
from tests.model.sampling.sample_runs import train_run

open_clip = pytest.importorskip("open_clip")
from safetensors.torch import save_file  # noqa: E402 - after the skip

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {
        "image_size": 32,
        "layers": 1,
        "width": 32,
        "patch_size": 16,
        "head_width": 16,
    },
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49_408,
        "width": 16,
        "heads": 1,
        "layers": 1,
    },
}
NAME = "pairmill-small-clip"
CAPTIONS = ("a red boat", "a house", "a red boat")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a model that open_clip has been told of."""
    folder = tmp_path_factory.mktemp("clip")
    (folder / f"{NAME}.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    model = open_clip.create_model(NAME)
    for parameter in model.parameters():  # as they begin, all pictures look alike to it
        torch.nn.init.normal_(parameter, std=0.2) if parameter.ndim > 1 else None
    path = folder / "weights.safetensors"
    save_file({name: one.contiguous() for name, one in model.state_dict().items()}, path)
    return path


def draw_pictures() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (40, 40, 3), np.uint8) for _ in CAPTIONS]


def test_a_score_is_the_cosine_that_open_clip_gives(weights: Path) -> None:
    model, _, transform = open_clip.create_model_and_transforms(
        NAME, pretrained=str(weights), weights_only=True
    )
    model.eval()
    expected = []
    with torch.no_grad():
        for caption, pixels in zip(CAPTIONS, draw_pictures(), strict=True):
            image = model.encode_image(transform(Image.fromarray(pixels))[None])
            text = model.encode_text(open_clip.get_tokenizer(NAME)([caption]))
            expected.append(float(torch.cosine_similarity(image, text)))
    ranker = ClipRanker(NAME, weights, torch.device("cpu"))
    assert ranker.score_pairs(CAPTIONS, draw_pictures()) == pytest.approx(expected, abs=1e-5)
    assert max(expected) - min(expected) > 0.01, "scores that are all alike would prove nothing"
    assert ranker.score("a house", draw_pictures()[1:2]) == pytest.approx(expected[1:2], abs=1e-5)
    assert len(ranker.to_document()["clip_weights_sha256"]) == 64


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('ran')",))


def test_strange_files_are_refused_and_nothing_in_them_runs(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "harm.pt").write_bytes(pickle.dumps(Harmful()))
    (tmp_path / "cut.safetensors").write_bytes(weights.read_bytes()[:9000])
    for name, model in (("harm.pt", NAME), ("cut.safetensors", NAME), ("none.pt", NAME)):
        with pytest.raises(ValueError, match=name):
            ClipRanker(model, tmp_path / name)
    with pytest.raises(ValueError, match="no-such-model"):
        ClipRanker("no-such-model", weights)


def test_the_door_keeps_the_best_and_writes_every_score(
    weights: Path, tmp_path: Path, write_corpus
) -> None:
    run = train_run(tmp_path, write_corpus)
    out, clip = tmp_path / "best.png", ["--clip", str(weights), "--clip_model", NAME]
    few = ["--run", str(run), "--caption", "a red boat", "--num", "2", "--out", str(out)]
    assert main([*few, *clip, "--best_of", "5", "--pictures", str(tmp_path / "each")]) == 0
    lines = [json.loads(line) for line in out.with_suffix(".jsonl").read_text().splitlines()]
    assert [line["seed"] for line in lines] == [0, 1, 2, 3, 4]
    best = sorted(lines, key=lambda line: -line["score"])
    assert [line["rank"] for line in best] == [0, 1, None, None, None]
    with Image.open(tmp_path / "each" / best[0]["file"]) as opened:
        assert float(opened.text["Score"]) == pytest.approx(best[0]["score"], abs=1e-6)
    assert {"clip_model", "clip_weights_sha256", "best_of"} <= set(lines[0]["settings"])
