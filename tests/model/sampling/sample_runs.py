"""A small sampler with true tokenizers, and a trained run's folder for the door."""

from importlib.resources import files
from pathlib import Path

import torch

import model.train
from model.config import Network
from model.sampling.sampler import Sampler
from model.transformer import Transformer
from tokens.bundled import BUNDLED
from tokens.dvae import Dvae, DvaeSizes
from tokens.dvae_file import dvae_bytes
from tokens.image import load_image_tokenizer
from tokens.sequence import SequenceLayout
from tokens.text import load_text_tokenizer

LAYOUT = SequenceLayout(text_slots=6, grid_height=4, grid_width=4, image_vocab_size=24)


def write_dvae(path: Path) -> None:
    torch.manual_seed(0)
    dvae = Dvae(DvaeSizes(vocab_size=24, hidden=8, decoder_init=6, blocks_per_group=1))
    path.write_bytes(dvae_bytes(dvae, {}))


def draw_weights(model: Transformer, deviation: float = 0.3) -> Transformer:
    """Weights large enough that one code depends strongly on those before it."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:  # drawn from one stream: equal tables would favour one code
                parameter.normal_(0, deviation, generator=generator)
    return model.eval()


def make_sampler(folder: Path, batch_size: int = 4, caption_dropout: float = 0.1) -> Sampler:
    """Pictures of 4 x 4 codes of 24, 32 px a side, from a network that has learnt nothing."""
    write_dvae(folder / "image.safetensors")
    network = draw_weights(Transformer(Network(3, 64), LAYOUT))
    tokenizers = (
        load_text_tokenizer(BUNDLED),
        load_image_tokenizer(str(folder / "image.safetensors")),
    )
    return Sampler(network, *tokenizers, batch_size, caption_dropout)


def train_run(tmp_path: Path, write_corpus) -> Path:  # type: ignore[no-untyped-def]
    """A run of two steps, with tokenizers that draw."""
    tokens = write_corpus(tmp_path / "tokens", layout=LAYOUT)
    write_dvae(tokens / "tokenizers" / "image.safetensors")
    vocabulary = files("tokens") / "data" / "text.json"
    (tokens / "tokenizers" / "text.json").write_bytes(vocabulary.read_bytes())
    run = tmp_path / "run"
    train = ["--data", str(tokens), "--out", str(run), "--steps", "2", "--batch_size", "4"]
    assert model.train.main(train) == 0
    return run
