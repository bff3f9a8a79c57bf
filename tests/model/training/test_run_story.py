"""What a run's folder tells of it: starts, samples, plots."""

import json
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import model.plot
import model.train
from model.plot import PANELS, draw_plot
from tests.model.sampling.sample_runs import LAYOUT, write_dvae
from tests.model.training.short_run import train


def test_every_start_is_written_down(tokens_folder: Path, tmp_path: Path) -> None:
    train(tokens_folder, tmp_path / "run", stop_after=2)
    train(tokens_folder, tmp_path / "run", stop_after=3)
    lines = (tmp_path / "run/starts.jsonl").read_text().splitlines()
    starts = [json.loads(line) for line in lines]
    assert [start["step"] for start in starts] == [0, 2]
    assert starts[0]["ranks"] == 1 and starts[0]["device"] == "cpu"
    assert set(starts[0]["versions"]) >= {"pairmill", "torch", "safetensors"}
    commit = starts[0]["git_commit"]
    assert commit is None or re.fullmatch(r"[0-9a-f]{40}( with changes)?", commit)


def test_a_plot_shows_every_measurement(tokens_folder: Path, tmp_path: Path) -> None:
    train(tokens_folder, tmp_path / "run")
    assert model.plot.main([str(tmp_path / "run")]) == 0
    with Image.open(tmp_path / "run/plot.png") as picture:
        assert picture.format == "PNG" and picture.width > 1000
    figure = draw_plot(model.plot.read_metrics(tmp_path / "run/metrics.jsonl"), "run")
    assert len(figure.axes) == len(PANELS)
    for axes, panel in zip(figure.axes, PANELS, strict=True):
        assert len(axes.lines) == len(panel.lines), panel.title
    held_out = figure.axes[0].lines[1]
    assert held_out.get_xdata().tolist() == [4, 8, 12, 14]


def test_a_folder_without_measurements_is_one_sentence_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert model.plot.main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "holds no measurements" in error


def test_samples_are_drawn_every_few_steps_and_change_nothing(tmp_path: Path, write_corpus) -> None:
    tokens = write_corpus(tmp_path / "tokens", layout=LAYOUT)
    write_dvae(tokens / "tokenizers" / "image.safetensors")
    text = files("tokens") / "data" / "text.json"
    (tokens / "tokenizers" / "text.json").write_bytes(text.read_bytes())
    command = ["--data", str(tokens), "--steps", "6", "--batch_size", "4", "--log_every", "2"]
    losses = []
    for name, flags in (("drawn", ["--sample_every", "3"]), ("plain", [])):
        assert model.train.main([*command, "--out", str(tmp_path / name), *flags]) == 0
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        losses.append([json.loads(line).get("loss") for line in lines])
    assert losses[0] == losses[1]
    sheets = sorted((tmp_path / "drawn/samples").iterdir())
    assert [sheet.name for sheet in sheets] == ["step-00000003.png", "step-00000006.png"]
    with Image.open(sheets[0]) as picture:
        assert np.asarray(picture).std() > 0
    assert not (tmp_path / "plain/samples").exists()
