"""Metrics of pictures, by a small extractor made here and, slowly, by InceptionV3 itself."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

import model.evaluate_pictures as door
from model.measuring.picture_metrics import (
    INCEPTION,
    Blurred,
    list_pictures,
    measure_pictures,
    read_tensors,
)
from model.sampling.picture_files import save_png

torch_fidelity = pytest.importorskip("torch_fidelity")
SMALL = "pairmill-small"


class SmallExtractor(torch_fidelity.FeatureExtractorBase):
    """Eight random features of a picture shrunk to 4 x 4, by weights of a file."""

    def __init__(
        self, name: str, features_list: list[str], feature_extractor_weights_path: str, **_: Any
    ) -> None:
        super().__init__(name, features_list)
        self.head = torch.nn.Linear(48, 8)
        self.load_state_dict(torch.load(feature_extractor_weights_path, weights_only=True))

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "features"

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor]:
        small = torch.nn.functional.adaptive_avg_pool2d(pictures.float() / 255, 4)
        return (self.head(small.flatten(1)),)


torch_fidelity.register_feature_extractor(SMALL, SmallExtractor)


def write_weights(path: Path) -> Path:
    torch.manual_seed(0)
    torch.save(torch.nn.Linear(48, 8).state_dict(), path)
    state = torch.load(path, weights_only=True)
    torch.save({f"head.{name}": one for name, one in state.items()}, path)
    return path


def write_pictures(folder: Path, seed: int, number: int, light: int = 0, side: int = 32) -> Path:
    folder.mkdir()
    generator = np.random.default_rng(seed)
    for i in range(number):
        coarse = generator.integers(light, 200 + light // 4, (8, 8, 3), np.uint8)
        picture = Image.fromarray(coarse).resize((side, side))
        save_png(picture, folder / f"{i}.png", {"Description": f"picture {i}"})
    return folder


def frechet(features: list[np.ndarray]) -> float:
    """The distance of two normal distributions, written out (Heusel et al. 2017)."""
    from scipy.linalg import sqrtm

    means = [f.mean(axis=0) for f in features]
    one, two = (np.cov(f, rowvar=False) for f in features)
    return float(
        ((means[0] - means[1]) ** 2).sum() + np.trace(one + two - 2 * sqrtm(one @ two)).real
    )


def test_fid_is_the_distance_of_the_blurred_pictures_features(tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "w.pth")
    drawn, real = (
        list_pictures(write_pictures(tmp_path / name, seed, number, light))
        for name, seed, number, light in (("drawn", 0, 30, 0), ("real", 1, 40, 60))
    )
    found = measure_pictures(drawn, real, weights, (0, 2), SMALL)
    assert (found["num_drawn"], found["num_real"], found["kid_subset_size"]) == (30, 40, 30)
    assert len(found["extractor_sha256"]) == 64 and "299" in found["resizer"]
    network = SmallExtractor(SMALL, ["features"], str(weights))
    for one in found["by_blur"]:
        features = []
        for paths in (drawn, real):
            blurred = []
            for path in paths:
                picture = Image.open(path)
                if one["blur_radius_px"]:
                    picture = picture.filter(ImageFilter.GaussianBlur(one["blur_radius_px"]))
                blurred.append(torch.from_numpy(np.array(picture)).permute(2, 0, 1))
            with torch.no_grad():
                features.append(network(torch.stack(blurred))[0].double().numpy())
        assert one["fid"] == pytest.approx(frechet(features), rel=1e-3)
    assert found["by_blur"][0]["fid"] != pytest.approx(found["by_blur"][1]["fid"], rel=1e-3)


def test_a_set_beside_itself_has_no_distance(tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "w.pth")
    same = list_pictures(write_pictures(tmp_path / "drawn", 0, 30))
    other = list_pictures(write_pictures(tmp_path / "other", 1, 30, light=120))
    near = measure_pictures(same, same, weights, (0,), SMALL)["by_blur"][0]
    far = measure_pictures(same, other, weights, (0,), SMALL)["by_blur"][0]
    assert abs(near["fid"]) < 1e-3 < far["fid"] and near["kid"] < far["kid"]


def test_a_larger_picture_is_brought_to_the_side_by_its_middle(tmp_path: Path) -> None:
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 10:30] = 200
    Image.fromarray(pixels).save(tmp_path / "a.png")
    picture = Blurred([tmp_path / "a.png"], 10, 0)[0]
    assert picture.shape == (3, 10, 10) and (picture == 200).all()


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('ran')",))


def test_weights_that_hold_more_than_tensors_are_refused(tmp_path: Path) -> None:
    (tmp_path / "harm.pth").write_bytes(pickle.dumps(Harmful()))
    for name, message in (("harm.pth", "tensors alone"), ("none.pth", "published at")):
        with pytest.raises(ValueError, match=message):
            read_tensors(tmp_path / name)
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pth")
    paths = list_pictures(write_pictures(tmp_path / "drawn", 0, 2))
    with pytest.raises(ValueError, match="do not fit"):
        measure_pictures(paths, paths, tmp_path / "other.pth", (0,), SMALL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "nothing to measure with", id="no weights"),
        pytest.param(["--inception", "w"], "needs --real", id="nothing to compare with"),
        pytest.param(["--clip", "none.pt"], "no file none.pt", id="no file"),
        pytest.param(["--inception", "none.pth", "--real", "."], "published", id="no inception"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_pictures(tmp_path / "drawn", 0, 2)
    monkeypatch.chdir(tmp_path)
    assert door.main(["--drawn", "drawn", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error


def test_the_clip_score_is_the_mean_over_pictures_and_their_own_captions(tmp_path: Path) -> None:
    class Ranker:
        def score_pairs(self, captions: list[str], pictures: list[np.ndarray]) -> list[float]:
            assert captions == ["picture 0", "picture 1", "picture 2"]
            return [0.1, 0.2, 0.6]

        def to_document(self) -> dict[str, str]:
            return {"clip_model": "made"}

    paths = list_pictures(write_pictures(tmp_path / "drawn", 0, 3))
    found = door.measure_clip(paths, Ranker())  # type: ignore[arg-type]
    assert found["clip_score"] == pytest.approx(0.3) and found["num_drawn"] == 3
    Image.new("RGB", (4, 4)).save(tmp_path / "bare.png")
    with pytest.raises(ValueError, match="carries no caption"):
        door.measure_clip([tmp_path / "bare.png"], Ranker())  # type: ignore[arg-type]


@pytest.mark.slow
def test_inception_itself_measures_through_the_door(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With weights that nobody has trained: the shapes, the file and the document."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as V3

    torch.manual_seed(0)
    torch.save({}, tmp_path / "empty.pth")
    with monkeypatch.context() as patched:
        patched.setattr(V3, "load_state_dict", lambda self, state: None)
        network = V3(INCEPTION, ["2048"], str(tmp_path / "empty.pth"))
    torch.save(network.state_dict(), tmp_path / "w.pth")
    folders = [write_pictures(tmp_path / name, seed, 12) for name, seed in (("a", 0), ("b", 1))]
    flags = ["--drawn", str(folders[0]), "--real", str(folders[1]), "--blur", "0", "4"]
    assert door.main([*flags, "--inception", str(tmp_path / "w.pth")]) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)["inception"]
    assert [one["blur_radius_px"] for one in found["by_blur"]] == [0, 4]
    assert found["extractor"] == INCEPTION and "Inception Score" in shown.err
