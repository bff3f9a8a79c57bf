import dataclasses
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import model.optim
from model import checkpoint
from model.config import Loop, Network, Optim, Run
from model.corpus import TokenCorpus
from model.distribution import Distribution, World
from model.run_folder import RunFolder
from model.train import main
from model.trainer import Trainer

NETWORK = Network(num_layers=2, width=64, dropout=0.2)
OPTIM = Optim(3e-3, warmup_steps=4, schedule="plateau", ema_decay=0.9, ema_every=1)
LOOP = Loop(
    steps=14, batch_size=8, micro_batch_size=4, log_every=3, checkpoint_every=5, eval_every=4
)
ALONE = Distribution(World(), torch.device("cpu"))


def train(tokens: Path, out: Path, stop_after: int | None = None, loop: Loop = LOOP) -> Trainer:
    """A run, or its part up to the step at which it is told to stop."""
    corpus = TokenCorpus(str(tokens))
    run = Run(NETWORK, corpus.layout, OPTIM, loop)
    folder = RunFolder(out)
    folder.begin(run, corpus)
    trainer = Trainer(run, corpus, folder, ALONE)
    trainer.restore()
    whole_step = trainer.step

    def step() -> None:
        whole_step()
        if trainer.course.steps_done == stop_after:
            trainer.stop_signal = signal.SIGTERM

    trainer.step = step  # type: ignore[method-assign]
    trainer.run()
    return trainer


def outcome(out: Path) -> dict[str, Any]:
    """All that a finished run leaves, but for times."""
    last = checkpoint.load_newest(out / "checkpoints")
    best = checkpoint.load(out / "best")
    assert last is not None
    state = {name: value for name, value in last.state.items() if name != "elapsed_s"}
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    for line in metrics:
        line.pop("tokens_per_s", None)
        line.pop("data_share", None)
    tables = {part: last.read_table(part) for part in last.tables}
    tensors = {
        f"{part}.{name}": tensor.flatten().tolist()
        for part, table in (tables | {"best": best.read_table("ema")}).items()
        for name, tensor in table.items()
    }
    return {"state": state, "best": best.state, "metrics": metrics, "tensors": tensors}


@pytest.fixture
def early_plateaus(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the schedule's state matters within 14 steps."""
    monkeypatch.setattr(model.optim, "PLATEAU_PATIENCE", 1)
    monkeypatch.setattr(model.optim, "PLATEAU_MARGIN", 0.2)


@pytest.mark.parametrize("stop_after", [1, 5, 8, 13], ids=lambda n: f"stopped after step {n}")
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    stop_after: int, tokens_folder: Path, tmp_path: Path, early_plateaus: None
) -> None:
    train(tokens_folder, tmp_path / "whole")
    train(tokens_folder, tmp_path / "parts", stop_after)
    torch.manual_seed(99)  # another process would not have our generator's state
    train(tokens_folder, tmp_path / "parts")
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")


Mutation = Callable[[dict[str, dict[str, torch.Tensor]], dict[str, Any]], None]


def forget_tensors(part: str, prefix: str = "") -> Mutation:
    def mutate(tables: dict[str, dict[str, torch.Tensor]], state: dict[str, Any]) -> None:
        for name, tensor in tables[part].items():
            if name.startswith(prefix):
                tensor.zero_()

    return mutate


def forget_state(name: str, value: Any) -> Mutation:
    def mutate(tables: dict[str, dict[str, torch.Tensor]], state: dict[str, Any]) -> None:
        state[name] = state[name] | value if isinstance(value, dict) else value

    return mutate


@pytest.mark.parametrize(
    "mutate",
    [
        pytest.param(forget_tensors("model"), id="weights"),
        pytest.param(forget_tensors("optimizer", "mean"), id="gradient means"),
        pytest.param(forget_tensors("optimizer", "variance"), id="gradient variances"),
        pytest.param(forget_tensors("ema"), id="averaged weights"),
        pytest.param(forget_state("position", {"samples": 0}), id="samples used up"),
        pytest.param(forget_state("plateau", {"halvings": 0}), id="halvings"),
        pytest.param(forget_state("plateau", {"best_loss": 99.0}), id="best interval"),
        pytest.param(forget_state("interval", {"updates": 0, "image": 0.0}), id="interval so far"),
        pytest.param(forget_state("best_loss", 0.0), id="best held-out loss"),
        pytest.param(forget_state("skipped", 3), id="steps left out"),
        pytest.param(forget_state("steps_done", 7), id="step"),
    ],
)
def test_the_comparison_notices_when_a_part_of_the_state_is_lost(
    mutate: Mutation,
    tokens_folder: Path,
    tmp_path: Path,
    early_plateaus: None,
) -> None:
    train(tokens_folder, tmp_path / "whole")
    train(tokens_folder, tmp_path / "parts", stop_after=8)
    path = checkpoint.step_path(tmp_path / "parts" / "checkpoints", 8)
    found = checkpoint.load(path)
    tables = {part: found.read_table(part) for part in found.tables}
    mutate(tables, found.state)
    checkpoint.save(path, tables, found.state)
    train(tokens_folder, tmp_path / "parts")
    assert outcome(tmp_path / "parts") != outcome(tmp_path / "whole")


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


def test_a_gradient_that_is_not_finite_stops_the_run_before_the_update(
    tokens_folder: Path, tmp_path: Path
) -> None:
    corpus = TokenCorpus(str(tokens_folder))
    run = Run(NETWORK, corpus.layout, OPTIM, LOOP)
    trainer = Trainer(run, corpus, RunFolder(tmp_path), ALONE)
    with torch.no_grad():
        trainer.update.model.begin[0] = float("nan")
    before = {name: p.clone() for name, p in trainer.update.model.named_parameters()}
    with pytest.raises(FloatingPointError, match="step 1"):
        trainer.step()
    trainer.loader.close()
    for name, parameter in trainer.update.model.named_parameters():
        assert torch.equal(parameter.nan_to_num(), before[name].nan_to_num())


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
