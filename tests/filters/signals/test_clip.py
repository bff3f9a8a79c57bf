"""CLIP similarity, embeddings and heads, against open_clip itself on small weights made here."""

import pickle
from dataclasses import replace
from pathlib import Path

import cv2
import fsspec
import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from filters.signals import MODEL_SIGNAL_TYPES
from filters.signals.clip import CLIP_TYPES, EMBEDDINGS, Clip, has_amx
from filters.signals.clip_model import MAX_CHARS, ClipScorer, numerics, tokenize
from filters.signals.clip_preprocess import Preprocess
from tests.filters.signals.clip_models import (
    CONFIG,
    WIDTH,
    linear_head,
    mlp_head,
    nsfw_head,
    write_head,
    write_model,
)

CAPTIONS = ["a red boat", "two dogs asleep on the floor of a kitchen", "ein Haus am Meer"]


def draw(seed, height, width):
    """A picture with soft colours, hard edges and some noise, as photographs have."""
    draws = np.random.default_rng(seed)
    coarse = draws.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    scene = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    cv2.circle(scene, (width // 2, height // 2), min(height, width) // 4, (250, 240, 20), -1)
    noise = draws.integers(-12, 13, scene.shape)
    return np.clip(scene + noise, 0, 255).astype(np.uint8)


PICTURES = [draw(0, 288, 288), draw(1, 288, 411), draw(2, 500, 288)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    return Clip(
        model=write_model(folder / "model"),
        device="cpu",
        precision="fp32",
        store_embeddings="fp16",
        aesthetic_weights=write_head(folder / "aesthetic.safetensors", mlp_head()),
        nsfw_weights=write_head(folder / "nsfw.safetensors", nsfw_head()),
    )


@pytest.fixture(scope="module")
def scorer(clip):
    return ClipScorer(clip)


def measure(settings, captions=CAPTIONS, pictures=PICTURES):
    columns = [name for name, _ in settings.columns]
    return dict(zip(columns, ClipScorer(settings).measure(captions, pictures), strict=True))


def ask_open_clip(model_name):
    """Embeddings of length 1 of PICTURES and CAPTIONS, the way that open_clip's README goes."""
    model, _, preprocess = open_clip.create_model_and_transforms(model_name)
    tokens = open_clip.get_tokenizer(model_name)(CAPTIONS)
    with torch.no_grad():
        images = torch.stack([preprocess(Image.fromarray(one)) for one in PICTURES])
        return (
            model.eval().encode_image(images, normalize=True).numpy(),
            model.encode_text(tokens, normalize=True).numpy(),
        )


def as_matrix(column):
    return column.flatten().to_numpy().astype(np.float32).reshape(len(column), -1)


def test_every_column_has_its_type(clip):
    measured = measure(clip)
    assert [(name, column.type) for name, column in measured.items()] == list(clip.columns)
    assert list(measured) == [*CLIP_TYPES, *EMBEDDINGS]
    assert CLIP_TYPES.items() <= MODEL_SIGNAL_TYPES.items()
    assert {len(vector) for vector in measured["clip_text_embedding"]} == {WIDTH}


def test_embeddings_are_those_of_open_clip(clip):
    measured = measure(clip)
    images, texts = ask_open_clip(clip.model)
    assert (as_matrix(measured["clip_image_embedding"]) * images).sum(1) == pytest.approx(
        1, abs=2e-4
    )
    assert (as_matrix(measured["clip_text_embedding"]) * texts).sum(1) == pytest.approx(1, abs=2e-4)


def test_similarity_is_the_cosine_of_the_two(clip):
    images, texts = ask_open_clip(clip.model)
    expected = (images * texts).sum(axis=1)
    assert measure(clip)["clip_similarity"].to_numpy() == pytest.approx(expected, abs=2e-3)
    assert np.ptp(expected) > 0.02  # or the test could not tell pairs apart


@pytest.mark.parametrize(
    "resize_mode, size",
    [
        ("shortest", 48),
        ("longest", 48),
        ("squash", 48),
        ("shortest", (48, 64)),
        ("longest", (64, 48)),
        ("squash", (32, 64)),
        ("shortest", 224),
        ("shortest", 448),
    ],
)
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_preprocessing_is_open_clips_but_for_rounding(resize_mode, size, interpolation):
    config = {
        "size": size,
        "mean": (0.0,) * 3,
        "std": (1.0,) * 3,
        "interpolation": interpolation,
        "resize_mode": resize_mode,
        "fill_color": 77,
    }
    theirs = open_clip.transform.image_transform_v2(
        open_clip.transform.PreprocessCfg(**config), False
    )
    ours = Preprocess.of(config)
    for pixels in (*PICTURES, draw(3, 20, 300), draw(4, 47, 49)):
        prepared = ours.normalise([ours.prepare(pixels)], torch.device("cpu"))[0]
        expected = theirs(Image.fromarray(pixels))
        assert prepared.shape == expected.shape
        off = (prepared - expected).abs() * 255
        assert off.max() < 2.5 and (off > 0.5).float().mean() < 0.05


def test_the_models_own_mean_and_deviation_are_used(scorer):
    pixels = np.full((48, 48, 3), 51, np.uint8)
    normal = scorer._preprocess.normalise([scorer._preprocess.prepare(pixels)], torch.device("cpu"))
    mean, std = CONFIG["preprocess_cfg"]["mean"], CONFIG["preprocess_cfg"]["std"]
    expected = [(0.2 - m) / s for m, s in zip(mean, std, strict=True)]
    assert normal[0, :, 5, 5].tolist() == pytest.approx(expected, abs=1e-6)


def test_a_small_batch_gives_nearly_the_same_and_equal_batches_the_same(clip):
    whole, single = measure(clip), measure(replace(clip, batch_size=1))
    for name in ("clip_similarity", "aesthetic_score", "nsfw_score"):
        assert single[name].to_numpy() == pytest.approx(whole[name].to_numpy(), abs=1e-5)
    assert measure(clip) == whole


def test_the_number_of_threads_changes_nothing_and_is_given_back(scorer):
    before = torch.get_num_threads()
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(scorer.measure(CAPTIONS, PICTURES))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert found[0] == found[1]


def test_bf16_weights_give_nearly_the_same(clip):
    half = measure(replace(clip, precision="bf16"))
    full = measure(clip)
    for name in ("clip_image_embedding", "clip_text_embedding"):
        cosines = (as_matrix(half[name]) * as_matrix(full[name])).sum(axis=1)
        assert cosines.min() > 0.999
    assert numerics(replace(clip, precision="bf16")) == "bf16-cpu"


@pytest.mark.parametrize(
    ("caption", "is_cut"),
    [
        pytest.param("a red boat", False, id="short"),
        pytest.param("dog " * 75, False, id="exactly what the model sees"),
        pytest.param("dog " * 76, True, id="one word more"),
        pytest.param("", False, id="empty"),
        pytest.param("dog" + " " * 3_000 + "cat", False, id="a gap is one space"),
        pytest.param("x" * 100_000, True, id="a word without end"),
        pytest.param("dog " * 10_000, True, id="words without end"),
    ],
)
def test_tells_which_captions_are_cut(scorer, caption, is_cut):
    tokens, truncated = tokenize(scorer._tokenizer, [caption, "a red boat"], 77)
    assert truncated == [is_cut, False]
    seen = " ".join(caption.split())[:MAX_CHARS]
    assert torch.equal(tokens, scorer._tokenizer([seen, "a red boat"]))


def test_the_tokenizer_forgets_what_it_has_seen(scorer, monkeypatch):
    monkeypatch.setattr("filters.signals.clip_model.MAX_REMEMBERED", 50)
    before = scorer._tokenizer(["a red boat"])
    for number in range(40):
        tokenize(scorer._tokenizer, [f"word{chr(97 + number % 26)}{chr(97 + number // 26)}"], 77)
    assert len(scorer._tokenizer.cache) < 60
    assert torch.equal(tokenize(scorer._tokenizer, ["a red boat"], 77)[0], before)


def test_heads_are_what_their_authors_compute(clip):
    images, _ = ask_open_clip(clip.model)
    x = torch.from_numpy(images)
    measured = measure(clip)
    mlp = load_file(clip.aesthetic_weights)
    expected = x
    for place in (0, 2, 4, 6, 7):
        expected = expected @ mlp[f"layers.{place}.weight"].T + mlp[f"layers.{place}.bias"]
    assert measured["aesthetic_score"].to_numpy() == pytest.approx(expected[:, 0].numpy(), abs=1e-3)
    nsfw = load_file(clip.nsfw_weights)
    expected = (x - nsfw["norm.mean"]) / nsfw["norm.variance"].sqrt()
    for number in (1, 2, 3, 4):
        expected = expected @ nsfw[f"linear_{number}.weight"].T + nsfw[f"linear_{number}.bias"]
        expected = expected.relu() if number < 4 else expected.sigmoid()
    assert measured["nsfw_score"].to_numpy() == pytest.approx(expected[:, 0].numpy(), abs=1e-3)


def test_the_linear_aesthetic_head(clip, tmp_path):
    tensors = linear_head()
    path = write_head(tmp_path / "linear.safetensors", tensors)
    measured = measure(replace(clip, aesthetic_weights=path))
    images, _ = ask_open_clip(clip.model)
    expected = images @ tensors["weight"][0].numpy() + tensors["bias"].item()
    assert measured["aesthetic_score"].to_numpy() == pytest.approx(expected, abs=1e-3)


def test_finding_says_what_decides_the_numbers(clip, tmp_path):
    found = clip.find()
    assert list(found) == [
        *("config_sha256", "weights_sha256", "numerics", "open_clip_torch", "torch"),
        *("aesthetic_score_sha256", "nsfw_score_sha256"),
    ]
    assert found["numerics"] == "fp32-cpu" and found["torch"] == torch.__version__.partition("+")[0]
    assert clip.find() == found
    other = replace(clip, model=write_model(tmp_path / "other", seed=1)).find()
    assert {key for key in found if found[key] != other[key]} == {"weights_sha256"}


def test_a_pickle_of_tensors_serves_as_well_as_safetensors(clip, tmp_path):
    write_model(tmp_path)
    weights = load_file(tmp_path / "open_clip_model.safetensors")
    (tmp_path / "open_clip_model.safetensors").unlink()
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "epoch.pth")
    settings = replace(clip, model=f"local-dir:{tmp_path}")
    settings.find()
    assert measure(settings)["clip_similarity"] == measure(clip)["clip_similarity"]


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_checkpoint_runs_no_code(clip, tmp_path):
    write_model(tmp_path / "model")
    (tmp_path / "model" / "open_clip_model.safetensors").unlink()
    sign, bad = tmp_path / "it ran", tmp_path / "model" / "bad.pth"
    torch.save({"state_dict": Bomb(sign)}, bad)
    settings = replace(clip, model=f"local-dir:{tmp_path / 'model'}")
    for use in (settings.find, settings.load):
        with pytest.raises(ValueError, match="not a checkpoint that holds tensors alone"):
            use()
    bad.write_bytes(pickle.dumps(Bomb(sign)))
    with pytest.raises(ValueError, match="not a checkpoint that holds tensors alone"):
        settings.find()
    assert not sign.exists()


def test_weights_may_lie_anywhere_that_fsspec_reads(clip, tmp_path):
    source = Path(clip.model.removeprefix("local-dir:")) / "open_clip_model.safetensors"
    with fsspec.open("memory://weights/small.safetensors", "wb") as file:
        file.write(source.read_bytes())
    settings = Clip(weights="memory://weights/small.safetensors", device="cpu")
    with pytest.raises(ValueError, match="small.safetensors does not fit ViT-B-32: "):
        settings.find()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param(
            Clip(), "names no weights for ViT-B-32: give weights = .*PRETRAINED.md", id="no weights"
        ),
        pytest.param(
            Clip(weights="gone.safetensors"),
            "there is no file gone.safetensors; give .* a pretrained tag of ViT-B-32 .*laion2b",
            id="no file",
        ),
        pytest.param(
            Clip("ViT-B-23", "x"), "none of open_clip's; the nearest is 'ViT-B-32'", id="no model"
        ),
        pytest.param(
            Clip("local-dir:/gone"), "/gone/open_clip_config.json is no config", id="no folder"
        ),
    ],
)
def test_what_is_missing_is_told_in_one_sentence(settings, message):
    with pytest.raises(ValueError, match=message) as caught:
        settings.find()
    assert "\n" not in str(caught.value)


def test_a_gpu_that_is_not_there_is_told(clip, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="torch finds no GPU"):
        replace(clip, device="cuda").find()


def test_a_tag_is_downloaded_and_without_network_told(monkeypatch):
    def offline(config):
        assert config["hf_hub"].startswith("laion/CLIP-ViT-B-32-laion2B-s34B-b79K")
        raise OSError("no network")

    monkeypatch.setattr("filters.signals.clip_weights.download_pretrained", offline)
    with pytest.raises(ValueError, match="'laion2b_s34b_b79k' cannot be had: no network; give a"):
        Clip(weights="laion2b_s34b_b79k").find()


def test_a_tag_of_another_activation_is_told(clip, monkeypatch):
    path = str(Path(clip.model.removeprefix("local-dir:")) / "open_clip_model.safetensors")
    monkeypatch.setattr("filters.signals.clip_weights.download_pretrained", lambda _: path)
    with pytest.raises(ValueError, match="give model = 'ViT-B-32-quickgelu'"):
        Clip(weights="openai", device="cpu").find()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"precision": "fp16", "device": "cpu"}, "no CPU computes in"),
        ({"weights": "x.pt"}, "brings its own; leave it out"),
        ({"batch_size": 65}, "from 1 to 64"),
        ({"device": "tpu"}, "give one of 'auto', 'cpu', 'cuda'"),
        ({"store_embeddings": "fp32"}, "give one of 'none', 'fp16'"),
    ],
)
def test_refuses_settings_that_make_no_sense(clip, change, message):
    with pytest.raises(ValueError, match=message):
        replace(clip, **change)


@pytest.mark.parametrize(
    ("key", "tensors", "message"),
    [
        ("aesthetic_weights", linear_head(WIDTH + 1), rf"\[1, 33\] with \[1\] gets {WIDTH}"),
        ("aesthetic_weights", nsfw_head(), "'weight'"),
        ("aesthetic_weights", linear_head() | {"more": torch.zeros(1)}, "3 tensors, of which 2"),
        (
            "aesthetic_weights",
            {"weight": torch.zeros(2, WIDTH), "bias": torch.zeros(2)},
            "ends in 2",
        ),
        ("nsfw_weights", mlp_head(), "norm.mean"),
        ("nsfw_weights", nsfw_head() | {"norm.mean": torch.zeros(3)}, r"normalisation is of \[3\]"),
    ],
)
def test_a_head_that_does_not_fit_is_refused(clip, tmp_path, key, tensors, message):
    path = write_head(tmp_path / "head.safetensors", tensors)
    with pytest.raises(ValueError, match=message):
        replace(clip, **{key: path}).find()


def test_a_folder_with_two_checkpoints_is_refused(clip, tmp_path):
    model = write_model(tmp_path)
    (tmp_path / "another.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="holds 2 checkpoints; leave one there"):
        replace(clip, model=model).find()


@pytest.mark.parametrize(
    ("flags", "has_it"),
    [("flags : fpu avx2 amx_tile amx_bf16 amx_int8", True), ("flags : fpu avx2", False)],
)
def test_tells_a_cpu_with_amx(tmp_path, flags, has_it):
    file = tmp_path / "cpuinfo"
    file.write_text(flags + "\n")
    assert has_amx(file) is has_it
    assert not has_amx(tmp_path / "gone")


@pytest.mark.gpu
def test_a_gpu_gives_nearly_the_same(clip):
    on_gpu = measure(replace(clip, device="cuda", precision="fp32"))
    similarity = measure(clip)["clip_similarity"].to_numpy()
    assert on_gpu["clip_similarity"].to_numpy() == pytest.approx(similarity, abs=1e-3)
