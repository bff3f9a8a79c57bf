"""The trainer's doors as a user meets them: programs in processes of their own."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def door(name: str, *arguments: str, cwd: Path) -> subprocess.Popen[str]:
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tokenize'}",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-W", "error", str(ROOT / "model" / name), *arguments]
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def read_metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_train_from_another_folder_and_again(tokens_folder: Path, tmp_path: Path) -> None:
    command = ["--data", str(tokens_folder), "--out", "run", "--steps", "4", "--log_every", "2"]
    first = door("train.py", *command, "--batch_size", "8", cwd=tmp_path)
    output, errors = first.communicate()
    assert (first.returncode, errors) == (0, "")
    lines = output.splitlines()
    assert re.fullmatch(
        r"step 2  loss \d+\.\d+  text \d+\.\d+  image \d+\.\d+"
        r"  lr \S+  grad \S+  tok/s \S+  eta \w+",
        lines[1],
    )
    assert sum(line.startswith("captions: train gap ") for line in lines) == 1
    assert lines[-1].startswith("captions: ")
    metrics = read_metrics(tmp_path / "run")
    assert [line["step"] for line in metrics] == [2, 4, 4]
    assert (tmp_path / "run/tokenizers/text.json").exists()
    assert list((tmp_path / "run/tensorboard").glob("events.*"))

    again = door("train.py", *command, "--batch_size", "8", cwd=tmp_path)
    output, errors = again.communicate()
    assert (again.returncode, errors) == (0, "")
    assert output.splitlines()[-1] == lines[-1], "a finished run measures the same again"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_same_command_goes_on(
    number: signal.Signals, code: int, tokens_folder: Path, tmp_path: Path
) -> None:
    command = ["--data", str(tokens_folder), "--out", "run", "--log_every", "1"]
    running = door("train.py", *command, "--steps", "100000", cwd=tmp_path)
    assert running.stdout is not None
    while not running.stdout.readline().startswith("step 3 "):
        assert running.poll() is None
    running.send_signal(number)
    output, errors = running.communicate()
    assert (running.returncode, errors) == (code, "")
    saved = sorted((tmp_path / "run/checkpoints").iterdir())
    step = int(saved[-1].name.removeprefix("step-"))
    assert step >= 3 and (saved[-1] / "complete.json").exists()

    again = door("train.py", *command, "--steps", str(step + 1), cwd=tmp_path)
    output, _ = again.communicate()
    assert again.returncode == 0
    assert output.startswith(f"training begins at step {step} of")


def test_a_run_that_is_killed_goes_on_from_its_last_checkpoint(
    tokens_folder: Path, tmp_path: Path
) -> None:
    command = ["--data", str(tokens_folder), "--out", "run", "--batch_size", "8"]
    command += ["--log_every", "1", "--checkpoint_every", "4", "--dropout", "0"]
    running = door("train.py", *command, "--steps", "100000", cwd=tmp_path)
    assert running.stdout is not None
    while not running.stdout.readline().startswith("step 6 "):
        assert running.poll() is None
    running.kill()
    running.communicate()
    again = door("train.py", *command, "--steps", "9", cwd=tmp_path)
    output, errors = again.communicate()
    assert (again.returncode, errors) == (0, "")
    metrics = read_metrics(tmp_path / "run")
    steps = [line["step"] for line in metrics if "loss" in line]
    assert steps == list(range(1, 10)), "each step stands in the metrics once"


@pytest.mark.parametrize("name", ["train.py", "sample.py", "evaluate.py"])
def test_help_shows_every_flag_with_its_default(name: str, tmp_path: Path) -> None:
    shown = door(name, "--help", cwd=tmp_path)
    output, errors = shown.communicate()
    assert (shown.returncode, errors) == (0, "")
    assert "--seed" in output and "default: 0" in output
