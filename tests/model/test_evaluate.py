import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.config import Loop, Network, Optim, Run
from model.evaluate import captions_line, main, measure_gap, measure_losses, other_captions
from model.loading.batch import Batch
from model.loading.corpus import TokenCorpus
from model.run_folder import RunFolder
from model.training.distribution import Distribution, World
from model.training.trainer import Trainer
from model.transformer import Transformer


@given(st.lists(st.integers(0, 5), min_size=2, max_size=30), st.integers(0, 3))
def test_no_picture_gets_a_caption_like_its_own_unless_half_are_alike(
    captions: list[int], seed: int
) -> None:
    text = np.array(captions)[:, None]
    other = other_captions(text, seed)
    assert sorted(other) == list(range(len(captions)))
    if max(map(captions.count, captions)) * 2 <= len(captions):
        assert (text[other] != text).all()
    if len(set(captions)) == len(captions):
        assert (other != np.arange(len(captions))).all()


def test_the_exchange_of_captions_depends_on_the_seed() -> None:
    text = np.arange(50)[:, None]
    assert other_captions(text, 0).tolist() == other_captions(text, 0).tolist()
    assert other_captions(text, 0).tolist() != other_captions(text, 1).tolist()


def drawn(tokens_folder: Path, split: str) -> Batch:
    batch = TokenCorpus(str(tokens_folder)).read_split(split, 512, 0)
    assert batch is not None
    return batch


def test_a_model_that_has_learnt_nothing_has_no_gap(tokens_folder: Path) -> None:
    corpus = TokenCorpus(str(tokens_folder))
    model = Transformer(Network(1, 64), corpus.layout).eval()
    gap = measure_gap(model, drawn(tokens_folder, "val"), 0)
    assert gap is not None
    assert (gap.mean, gap.low, gap.high, gap.pairs) == (0.0, 0.0, 0.0, 20)


def test_the_gap_is_the_mean_over_pairs_of_the_difference_of_their_means(
    tokens_folder: Path,
) -> None:
    batch = drawn(tokens_folder, "train")
    model = Transformer(Network(2, 64), TokenCorpus(str(tokens_folder)).layout).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.2, generator=torch.Generator().manual_seed(2))
    other = other_captions(batch.text, 4)
    differences = []
    captions, images = batch.to(torch.device("cpu"))
    with torch.no_grad():
        for i in range(60):
            image = images[i : i + 1]
            texts = [captions[j : j + 1] for j in (other[i], i)]
            losses = [model(text, image).image_BI.double().mean().item() for text in texts]
            differences.append(losses[0] - losses[1])
    gap = measure_gap(model, batch, 4)
    assert gap is not None
    error = np.std(differences, ddof=1) / 60**0.5
    assert gap.mean == pytest.approx(np.mean(differences), rel=1e-4)
    assert gap.high - gap.mean == pytest.approx(1.96 * error, rel=1e-4)
    assert gap.mean - gap.low == pytest.approx(1.96 * error, rel=1e-4)


def test_losses_are_means_over_all_tokens(tokens_folder: Path) -> None:
    batch = drawn(tokens_folder, "val")
    corpus = TokenCorpus(str(tokens_folder))
    losses = measure_losses(Transformer(Network(1, 64), corpus.layout).eval(), batch)
    assert losses.image == pytest.approx(np.log(12), rel=1e-5)
    assert losses.text == pytest.approx(np.log(46), rel=1e-5)


LINE = re.compile(
    r"captions: train gap (-?\d\.\d{3}) \[-?\d\.\d{3}, -?\d\.\d{3}\] "
    r"held-out gap (-?\d\.\d{3}) \[(-?\d\.\d{3}), -?\d\.\d{3}\] "
    r"nats per image token \(shuffled minus true, 95 % over pairs\)"
)


def trained(tokens: Path, out: Path) -> RunFolder:
    corpus = TokenCorpus(str(tokens))
    loop = Loop(steps=90, batch_size=20, micro_batch_size=20, eval_every=30)
    optim = Optim(3e-3, warmup_steps=10, ema_decay=0.9, ema_every=1)
    run = Run(Network(2, 64), corpus.layout, optim, loop)
    folder = RunFolder(out)
    folder.begin(run, corpus)
    Trainer(run, corpus, folder, Distribution(World(), torch.device("cpu"))).run()
    return folder


def test_a_model_that_reads_its_captions_shows_it_on_held_out_pairs(
    tokens_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained(tokens_folder, tmp_path / "run")
    assert main(["--run", str(folder.path)]) == 0
    found = LINE.search(capsys.readouterr().out)
    assert found and float(found[1]) > 0.05 and float(found[3]) > 0


def test_without_held_out_pairs_the_line_says_so(tmp_path: Path, write_corpus) -> None:
    corpus = TokenCorpus(str(write_corpus(tmp_path / "tokens", val_rows=0)))
    model = Transformer(Network(1, 64), corpus.layout).eval()
    line = captions_line(model, corpus, 10, 0)
    assert "held-out gap not measured (fewer than 2 pairs)" in line and "\n" not in line


def test_a_folder_that_is_no_run_is_one_sentence_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--run", str(tmp_path)]) == 2
    assert "is not the folder of a run" in capsys.readouterr().err
