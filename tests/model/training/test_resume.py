"""A run that was stopped or killed, and goes on, is the run that was not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import model.optim
from model import checkpoint
from tests.model.training.short_run import (
    after_step,
    in_child,
    kill_oneself,
    make_trainer,
    of_loop,
    outcome,
    train,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"  # from Python 3.12 on, of fork
)


@pytest.fixture(autouse=True)
def early_plateaus(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the schedule's state matters within 14 steps."""
    monkeypatch.setattr(model.optim, "PLATEAU_PATIENCE", 1)
    monkeypatch.setattr(model.optim, "PLATEAU_MARGIN", 0.2)


@pytest.fixture
def whole(tokens_folder: Path, tmp_path: Path) -> dict[str, Any]:
    """What the run that nobody stopped leaves."""
    train(tokens_folder, tmp_path / "whole")
    return outcome(tmp_path / "whole")


def go_on(tokens: Path, out: Path) -> dict[str, Any]:
    torch.manual_seed(99)  # another process would not have our generator's state
    train(tokens, out)
    return outcome(out)


@pytest.mark.parametrize("stop_after", [1, 5, 8, 13], ids=lambda n: f"stopped after step {n}")
def test_a_stopped_run_goes_on_bit_for_bit(
    stop_after: int, tokens_folder: Path, tmp_path: Path, whole: dict[str, Any]
) -> None:
    train(tokens_folder, tmp_path / "parts", stop_after)
    assert go_on(tokens_folder, tmp_path / "parts") == whole


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(1, id="before the first checkpoint"),
        pytest.param(7, id="in an epoch"),
        pytest.param(8, id="where an epoch ends"),
        pytest.param(10, id="at a checkpoint"),
    ],
)
def test_a_killed_run_goes_on_bit_for_bit(
    step: int, tokens_folder: Path, tmp_path: Path, whole: dict[str, Any]
) -> None:
    def work() -> None:
        trainer = make_trainer(tokens_folder, tmp_path / "parts")
        after_step(trainer, step, kill_oneself)
        trainer.run()

    assert in_child(work) == -9
    assert go_on(tokens_folder, tmp_path / "parts") == whole


@pytest.mark.parametrize("call", range(1, 8))
def test_killed_while_a_checkpoint_is_written_it_goes_on_bit_for_bit(
    call: int, tokens_folder: Path, tmp_path: Path, whole: dict[str, Any]
) -> None:
    """At every file that is synced, and at the marker; the run before has left one of step 5."""

    def work() -> None:
        count, sync = 0, checkpoint._sync_and_hash

        def counting(file: Path) -> str:
            nonlocal count
            if "step-00000010" in str(file):
                count += 1
                if count == call:
                    kill_oneself()
            return sync(file)

        checkpoint._sync_and_hash = counting
        make_trainer(tokens_folder, tmp_path / "parts").run()

    ended = in_child(work)
    assert ended == (-9 if call <= 6 else 0), "four tables, the state and the marker"
    assert go_on(tokens_folder, tmp_path / "parts") == whole


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
        pytest.param(forget_state("interval", {"updates": 1, "image": 0.0}), id="interval so far"),
        pytest.param(forget_state("best_loss", 0.0), id="best held-out loss"),
        pytest.param(forget_state("skipped", 3), id="steps left out"),
        pytest.param(forget_state("overflows", 3), id="overflows"),
        pytest.param(forget_state("steps_done", 7), id="step"),
    ],
)
def test_the_comparison_notices_when_a_part_of_the_state_is_lost(
    mutate: Mutation, tokens_folder: Path, tmp_path: Path, whole: dict[str, Any]
) -> None:
    train(tokens_folder, tmp_path / "parts", stop_after=8)
    path = checkpoint.step_path(tmp_path / "parts" / "checkpoints", 8)
    found = checkpoint.load(path)
    tables = {part: found.read_table(part) for part in found.tables}
    mutate(tables, found.state)
    checkpoint.save(path, tables, found.state)
    assert go_on(tokens_folder, tmp_path / "parts") != whole


def test_resume_names_a_checkpoint_and_sets_newer_ones_aside(
    tokens_folder: Path, tmp_path: Path, whole: dict[str, Any]
) -> None:
    train(tokens_folder, tmp_path / "parts", stop_after=13)
    trainer = make_trainer(tokens_folder, tmp_path / "parts")
    trainer.restore(10)
    assert trainer.course.steps_done == 10
    names = {path.name for path in (tmp_path / "parts/checkpoints").iterdir()}
    assert names == {"step-00000010", "left-step-00000013"}
    trainer.run()
    assert outcome(tmp_path / "parts") == whole


def test_a_damaged_checkpoint_that_is_asked_for_is_an_error(
    tokens_folder: Path, tmp_path: Path
) -> None:
    train(tokens_folder, tmp_path / "run")
    trainer = make_trainer(tokens_folder, tmp_path / "run")
    (tmp_path / "run/checkpoints/step-00000010/complete.json").unlink()
    with pytest.raises(ValueError, match="not a finished checkpoint"):
        trainer.restore(10)
    with pytest.raises(ValueError, match="no checkpoint of step 3; there are: 10, 14"):
        trainer.restore(3)


def test_keeps_every_few_steps_for_good(tokens_folder: Path, tmp_path: Path) -> None:
    loop = of_loop(checkpoint_every=2, keep_every=6, keep_checkpoints=1)
    train(tokens_folder, tmp_path / "run", loop=loop)
    kept = [checkpoint.step_of(path) for path in checkpoint.listed(tmp_path / "run/checkpoints")]
    assert kept == [6, 12, 14]
