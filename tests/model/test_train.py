import dataclasses
import json
from pathlib import Path

import pytest
import torch

from model import checkpoint
from model.config import Run
from model.loading.corpus import TokenCorpus
from model.run_folder import RunFolder
from model.train import main
from model.training.trainer import Trainer
from tests.model.training.short_run import ALONE, LOOP, NETWORK, OPTIM, train


def test_micro_batches_sum_to_the_gradient_of_the_batch(
    tokens_folder: Path, tmp_path: Path
) -> None:
    corpus = TokenCorpus(str(tokens_folder))
    gradients = []
    for size in (8, 2):
        loop = dataclasses.replace(LOOP, micro_batch_size=size)
        run = Run(dataclasses.replace(NETWORK, dropout=0.0), corpus.layout, OPTIM, loop)
        trainer = Trainer(run, corpus, RunFolder(tmp_path), ALONE)
        trainer.update.measure(trainer.loader.next_batch(), 0)
        trainer.loader.close()
        gradients.append([p.grad for p in trainer.update.model.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_keeps_the_weights_with_the_lowest_held_out_loss(
    tokens_folder: Path, tmp_path: Path
) -> None:
    loop = dataclasses.replace(LOOP, steps=60, eval_every=5, checkpoint_every=30)
    train(tokens_folder, tmp_path / "run", loop=loop)
    text = (tmp_path / "run" / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    held_out = {line["step"]: line["held_out_image"] for line in lines if "held_out_image" in line}
    best = checkpoint.load(tmp_path / "run" / "best").state
    assert best["step"] == min(held_out, key=lambda step: held_out[step])
    assert RunFolder(tmp_path / "run").load_model(torch.device("cpu"))[1] == best["step"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(["--seed", "1"], "seed is 0 there, 1 here", id="another seed"),
        pytest.param(["--batch_size", "4"], "batch_size is 8 there, 4 here", id="another batch"),
        pytest.param(["--dropout", "0.5"], "dropout is 0.1 there, 0.5 here", id="another dropout"),
    ],
)
def test_refuses_a_folder_of_another_run(
    flags: list[str],
    message: str,
    tokens_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["--data", str(tokens_folder), "--out", str(tmp_path / "run"), "--steps", "1"]
    assert main([*command, "--batch_size", "8"]) == 0
    capsys.readouterr()
    assert main([*command, "--batch_size", "8", *flags]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error and "another --out" in error


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"generation": 1}, "older than generation 2", id="older generation"),
        pytest.param({"generation": 2, "seed": 5}, "another corpus", id="other pairs"),
    ],
)
def test_refuses_data_that_is_not_what_the_run_was_begun_on(
    change: dict[str, int],
    message: str,
    tmp_path: Path,
    write_corpus,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tokens = write_corpus(tmp_path / "tokens", generation=2)
    command = ["--data", str(tokens), "--out", str(tmp_path / "run"), "--steps", "1"]
    assert main(command) == 0
    write_corpus(tokens, **change)
    capsys.readouterr()
    assert main(command) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--data", "nowhere"], "nowhere/manifest.json is not there", id="no data"),
        pytest.param(["--learning_rate", "-1"], "learning_rate is -1.0", id="bad rate"),
        pytest.param(["--batch_size", "0"], "batch_size is 0", id="no batch"),
        pytest.param(["--dropout", "1"], "dropout is 1.0", id="bad dropout"),
        pytest.param(["--out", "tests"], "tests is not empty and holds no run", id="bad out"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(
    arguments: list[str],
    message: str,
    tokens_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "file").touch()
    out = tmp_path / "run"
    assert main(["--data", str(tokens_folder), "--out", str(out), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error
    assert not out.exists()


def test_refuses_a_corpus_without_its_tokenizers(
    tokens_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tokens_folder / "tokenizers" / "image.safetensors").unlink()
    assert main(["--data", str(tokens_folder), "--out", str(tmp_path / "run")]) == 2
    assert "image.safetensors is not there" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_trains_on_several_corpora_and_names_what_cannot_be_mixed(
    tokens_folder: Path, tmp_path: Path, write_corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_corpus(tmp_path / "other", seed=4)
    command = ["--out", str(tmp_path / "run"), "--steps", "1", "--data", str(tokens_folder)]
    assert main([*command, "--data", str(other), "--mix", "0.7,0.3"]) == 0
    assert RunFolder(tmp_path / "run").data_folders() == [str(tokens_folder), str(other)]
    capsys.readouterr()
    for flags, message in (
        ([], "reads 2 tokens folders, and 1 are given"),
        (["--data", str(other), "--mix", "1"], "--mix takes one weight for each --data"),
        (["--bpe_dropout", "0.1"], "is not a text vocabulary"),
        (["--cache_dir", "kept", "--cache_gib", "0"], "cache_gib is 0.0"),
    ):
        assert main([*command, *flags]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and message in error
