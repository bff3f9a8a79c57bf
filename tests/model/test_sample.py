from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

import model.train
from model.config import Network
from model.drawing import Strip, draw_sheet, wrap
from model.sample import main, sample_codes
from model.transformer import Transformer
from tokens.dvae import Dvae, DvaeSizes
from tokens.dvae_file import dvae_bytes
from tokens.sequence import SequenceLayout

NETWORK = Network(num_layers=6, width=64)


@pytest.fixture
def network(layout: SequenceLayout) -> Transformer:
    """Weights large enough that one code depends strongly on those before it."""
    model = Transformer(NETWORK, layout).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:  # drawn from one stream: equal tables would favour one code
                parameter.normal_(0, 0.2, generator=generator)
    return model


@pytest.fixture
def text(layout: SequenceLayout) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(layout.text_vocab_size, (3, layout.text_slots), generator=generator)


@torch.no_grad()
def teacher_forced(model: Transformer, text: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Image logits of whole sequences in one pass, without a cache."""
    return model.image_head(model.hidden(text, codes)[:, model.layout.text_slots :])


def test_greedy_codes_equal_the_teacher_forced_arg_max(
    network: Transformer, text: torch.Tensor
) -> None:
    codes = sample_codes(network, text, seeds=[0, 1, 2], top_k=1)
    assert torch.equal(teacher_forced(network, text, codes).argmax(dim=-1), codes)
    assert len(codes.unique()) > 3


def test_a_picture_depends_on_its_caption_and_seed_and_not_on_its_company(
    network: Transformer, text: torch.Tensor
) -> None:
    together = sample_codes(network, text, seeds=[7, 8, 9])
    alone = sample_codes(network, text[1:2], seeds=[8])
    assert torch.equal(together[1:2], alone)
    assert not torch.equal(sample_codes(network, text[1:2], seeds=[9]), alone)
    assert not torch.equal(sample_codes(network, text[:1], seeds=[8]), alone)


def test_top_k_draws_from_the_k_likeliest_alone(network: Transformer, text: torch.Tensor) -> None:
    codes = sample_codes(network, text, seeds=[0, 1, 2], top_k=3)
    ranks = teacher_forced(network, text, codes).argsort(dim=-1, descending=True)
    chosen = (ranks == codes[..., None]).int().argmax(dim=-1)
    assert set(chosen.flatten().tolist()) == {0, 1, 2}


def test_codes_follow_the_model_s_probabilities(network: Transformer, text: torch.Tensor) -> None:
    rows = 3000
    repeated = text[:1].expand(rows, -1)
    codes = sample_codes(network, repeated, seeds=range(rows), temperature=2.0)
    logits = teacher_forced(network, text[:1], codes[:1])[0, 0]
    expected = (logits / 2.0).softmax(dim=-1)
    frequency = codes[:, 0].bincount(minlength=network.layout.image_vocab_size) / rows
    assert (frequency - expected).abs().max() < 0.04


def test_a_low_temperature_draws_the_most_probable(
    network: Transformer, text: torch.Tensor
) -> None:
    cold = sample_codes(network, text, seeds=[0, 1, 2], temperature=1e-4)
    assert torch.equal(cold, sample_codes(network, text, seeds=[0, 1, 2], top_k=1))


def test_a_sheet_shows_each_picture_whole_and_its_caption_below() -> None:
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    strips = [
        Strip(f"caption {i}", [np.full((16, 16, 3), colour, np.uint8)] * 2)
        for i, colour in enumerate(colours)
    ]
    pixels = np.asarray(draw_sheet(strips))
    for colour in colours:
        rows, columns = np.nonzero((pixels == colour).all(axis=-1))
        assert len(rows) == 2 * 128 * 128  # two pictures, enlarged to 128 pixels
        below = pixels[rows.max() + 8 : rows.max() + 30, columns.min() : columns.max()]
        assert below.min() < 128, "no dark letter stands under the picture"


def test_a_long_caption_is_cut_with_an_ellipsis() -> None:
    font = ImageFont.load_default(15)
    lines = wrap("a very long caption " * 20, font, 200)
    assert len(lines) == 2 and lines[1].endswith("...")
    assert all(font.getlength(line) <= 200 for line in lines)
    assert wrap("short", font, 200) == ["short"]
    assert wrap("w" * 100, font, 200)[0].endswith("...")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "no caption", id="no caption"),
        pytest.param(["--caption", "a", "--num", "0"], "--num must be", id="no picture"),
        pytest.param(["--caption", "a", "--temperature", "0"], "--temperature", id="no warmth"),
        pytest.param(["--captions", "nowhere.txt"], "nowhere.txt", id="no file"),
        pytest.param(["--caption", "a"], "is not the folder of a run", id="no run"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--run", str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error


def test_draws_a_sheet_from_a_trained_run(
    tmp_path: Path, write_corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    """From captions in words to a picture file, with true tokenizers of both kinds."""
    layout = SequenceLayout(text_slots=6, grid_height=4, grid_width=4, image_vocab_size=24)
    tokens = write_corpus(tmp_path / "tokens", layout=layout)
    torch.manual_seed(0)
    dvae = Dvae(DvaeSizes(vocab_size=24, hidden=8, decoder_init=6, blocks_per_group=1))
    (tokens / "tokenizers" / "image.safetensors").write_bytes(dvae_bytes(dvae, {}))
    vocabulary = files("tokens") / "data" / "text.json"
    (tokens / "tokenizers" / "text.json").write_bytes(vocabulary.read_bytes())
    run = tmp_path / "run"
    train = ["--data", str(tokens), "--out", str(run), "--steps", "2", "--batch_size", "4"]
    assert model.train.main(train) == 0

    (tmp_path / "captions.txt").write_text("a red flower\n\na very long caption of many words\n")
    sample = ["--run", str(run), "--captions", str(tmp_path / "captions.txt"), "--num", "3"]
    sheets = []
    for name, more in (("a.png", []), ("b.png", []), ("c.png", ["--seed", "5"])):
        assert main([*sample, "--out", str(tmp_path / name), *more]) == 0
        sheets.append(np.asarray(Image.open(tmp_path / name)))
    assert "2 captions, 3 pictures each" in capsys.readouterr().out
    assert np.array_equal(sheets[0], sheets[1]) and not np.array_equal(sheets[0], sheets[2])
    assert sheets[0].shape[1] > 3 * 128
