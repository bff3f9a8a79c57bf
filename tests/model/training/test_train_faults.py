"""What a run does when numbers, disks, signals or files go bad."""

import errno
import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model import checkpoint
from model.training.trainer import Trainer
from model.transformer import TokenLosses
from tests.model.training.short_run import in_child, make_trainer, of_loop, outcome, train

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"  # from Python 3.12 on, of fork
)
BAD_STEP = 8
"""Between a log line and a checkpoint."""


def spoil_loss(trainer: Trainer, value: float) -> None:
    """One micro-batch of BAD_STEP has a loss that is not finite."""
    network, calls = trainer.update.spread.network, 0

    def spoiled(text: torch.Tensor, image: torch.Tensor) -> TokenLosses:
        nonlocal calls
        losses = network(text, image)
        bad = trainer.course.steps_done + 1 == BAD_STEP and calls % 2 == 1
        calls += 1
        return TokenLosses(losses.text_N * value, losses.image_BI) if bad else losses

    object.__setattr__(trainer.update.spread, "network", spoiled)


def spoil_gradient(trainer: Trainer, value: float) -> None:
    """One gradient of BAD_STEP is not finite, though its loss is."""

    def spoiled(gradient: torch.Tensor) -> torch.Tensor:
        bad = trainer.course.steps_done + 1 == BAD_STEP
        return torch.full_like(gradient, value) if bad else gradient

    trainer.update.model.final_norm.weight.register_hook(spoiled)


SPOILS = [
    pytest.param(spoil_loss, float("nan"), "loss", id="the loss of a micro-batch is NaN"),
    pytest.param(spoil_loss, float("inf"), "loss", id="the loss of a micro-batch is infinite"),
    pytest.param(spoil_gradient, float("nan"), "gradient", id="a gradient is NaN"),
    pytest.param(spoil_gradient, float("inf"), "gradient", id="a gradient is infinite"),
]
Spoil = Callable[[Trainer, float], None]


@pytest.mark.parametrize(("spoil", "value", "what"), SPOILS)
def test_stops_before_the_update_and_names_the_pairs(
    spoil: Spoil, value: float, what: str, tokens_folder: Path, tmp_path: Path
) -> None:
    trainer = make_trainer(tokens_folder, tmp_path / "run")
    spoil(trainer, value)
    seen: list[list[str]] = []
    next_batch = trainer.loader.next_batch

    def noted() -> object:
        batch = next_batch()
        seen.append([bytes(pair_id).hex() for pair_id in batch.pair_ids])
        return batch

    trainer.loader.next_batch = noted  # type: ignore[method-assign]
    with pytest.raises(FloatingPointError, match=f"step {BAD_STEP}: the {what} is not finite"):
        trainer.run()
    last = checkpoint.load_newest(tmp_path / "run/checkpoints")
    assert last is not None and last.state["steps_done"] == 5
    for table in last.tables:
        assert all(t.isfinite().all() for t in last.read_table(table).values()), table
    assert all(p.isfinite().all() for p in trainer.update.model.parameters())
    record = json.loads(next((tmp_path / "run/faults").iterdir()).read_text())
    assert record["step"] == BAD_STEP and record["pair_ids"] == seen[-1]
    assert record["position"]["samples"] == (BAD_STEP - 1) * 8


@pytest.mark.parametrize(("spoil", "value", "what"), SPOILS)
def test_leaves_out_as_many_steps_as_it_may_and_counts_them(
    spoil: Spoil,
    value: float,
    what: str,
    tokens_folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    trainer = make_trainer(tokens_folder, tmp_path / "run", of_loop(max_skipped_steps=1))
    spoil(trainer, value)
    trainer.run()
    found = outcome(tmp_path / "run")
    assert found["state"]["skipped"] == 1 and found["state"]["steps_done"] == 14
    assert f"step {BAD_STEP}: the {what} is not finite; left out (1 of 1)" in caplog.text
    text = json.dumps(found)
    assert "NaN" not in text and "Infinity" not in text
    assert [line["left_out"] for line in found["metrics"] if "loss" in line] == [0, 0, 1, 1]


def test_a_step_left_out_changes_nothing_but_the_count(tokens_folder: Path, tmp_path: Path) -> None:
    trainer = make_trainer(tokens_folder, tmp_path / "run", of_loop(max_skipped_steps=9))
    spoil_gradient(trainer, float("nan"))
    trainer.course.steps_done = BAD_STEP - 1
    before = {n: t.clone() for n, t in trainer.update.optimizer.state_dict().items()}
    weights = [p.detach().clone() for p in trainer.update.model.parameters()]
    trainer.step()
    trainer.loader.close()
    torch.testing.assert_close(trainer.update.optimizer.state_dict(), before, rtol=0, atol=0)
    torch.testing.assert_close(list(trainer.update.model.parameters()), weights, rtol=0, atol=0)
    assert trainer.course.updates == BAD_STEP - 1


def fail_to_write(monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
    """The disk is full when the checkpoints of these steps are written."""
    save = checkpoint.save_file

    def full(values: object, file: Path, metadata: object) -> None:
        if any(f"step-{step:08d}" in str(file) for step in steps) and "ema" in file.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        save(values, file, metadata)

    monkeypatch.setattr(checkpoint, "save_file", full)


def test_a_full_disk_costs_one_checkpoint(
    tokens_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fail_to_write(monkeypatch, 10)
    train(tokens_folder, tmp_path / "run", loop=of_loop(keep_checkpoints=1, steps=12))
    names = {path.name for path in (tmp_path / "run/checkpoints").iterdir()}
    assert names == {"step-00000012"}
    assert "No space left on device" in caplog.text
    assert "step-00000010 was given up; the older ones stay" in caplog.text


def test_the_last_good_checkpoint_outlives_those_that_fail(
    tokens_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to_write(monkeypatch, 4, 6, 8)
    loop = of_loop(checkpoint_every=2, keep_checkpoints=1, eval_every=99)
    with pytest.raises(OSError, match="3 checkpoints in a row could not be written"):
        train(tokens_folder, tmp_path / "run", loop=loop)
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == ["step-00000002"]
    monkeypatch.undo()
    train(tokens_folder, tmp_path / "run", loop=loop)
    train(tokens_folder, tmp_path / "whole", loop=loop)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_a_run_that_cannot_write_its_last_checkpoint_says_so(
    tokens_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to_write(monkeypatch, 14)
    with pytest.raises(OSError, match="the last checkpoint could not be written"):
        train(tokens_folder, tmp_path / "run")


def signalled(tokens: Path, out: Path, times: int) -> int:
    """How a run ends that gets SIGTERM in the middle of step 8, once or twice."""

    def work() -> None:
        trainer = make_trainer(tokens, out)
        signal.signal(signal.SIGTERM, trainer.stop_at)
        measure = trainer.update.measure

        def interrupted(*arguments: object) -> object:
            if trainer.course.steps_done == 7:
                for _ in range(times):
                    os.kill(os.getpid(), signal.SIGTERM)
            return measure(*arguments)  # type: ignore[arg-type]

        trainer.update.measure = interrupted  # type: ignore[method-assign, assignment]
        trainer.run()

    return in_child(work)


def test_sigterm_finishes_the_step_and_saves_it(tokens_folder: Path, tmp_path: Path) -> None:
    train(tokens_folder, tmp_path / "whole")
    assert signalled(tokens_folder, tmp_path / "run", times=1) == 0
    assert checkpoint.listed(tmp_path / "run/checkpoints")[-1].name == "step-00000008"
    train(tokens_folder, tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_a_second_sigterm_ends_the_run_at_once(tokens_folder: Path, tmp_path: Path) -> None:
    train(tokens_folder, tmp_path / "whole")
    assert signalled(tokens_folder, tmp_path / "run", times=2) == -signal.SIGTERM
    assert checkpoint.listed(tmp_path / "run/checkpoints")[-1].name == "step-00000005"
    train(tokens_folder, tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_training_goes_on_while_a_checkpoint_is_written(
    tokens_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(tokens_folder, tmp_path / "run", of_loop(eval_every=99))
    save, go, seen = checkpoint.save_file, threading.Event(), []

    def slow(values: object, file: Path, metadata: object) -> None:
        assert "00000005" not in str(file) or go.wait(20)
        save(values, file, metadata)

    monkeypatch.setattr(checkpoint, "save_file", slow)
    step = trainer.step

    def watched() -> None:
        step()
        seen.append([path.name for path in checkpoint.listed(tmp_path / "run/checkpoints")])
        if trainer.course.steps_done == 8:
            go.set()

    trainer.step = watched  # type: ignore[method-assign]
    trainer.run()
    assert seen[7] == [], "three steps were made before the checkpoint of step 5 was written"
    assert outcome(tmp_path / "run")["state"]["steps_done"] == 14
