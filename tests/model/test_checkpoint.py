import json
import logging
from pathlib import Path

import pytest
import torch

from model import checkpoint
from model.checkpoint import load, load_newest, prune, save, step_path


def write(folder: Path, step: int) -> Path:
    path = step_path(folder, step)
    save(path, {"model": {"weight": torch.full((3,), float(step))}}, {"step": step})
    return path


def test_gives_back_what_was_saved(tmp_path: Path) -> None:
    path = step_path(tmp_path, 7)
    table = {"a": torch.arange(6).reshape(2, 3).T, "b": torch.zeros(0, dtype=torch.uint8)}
    save(path, {"model": table}, {"step": 7, "nested": {"loss": None}})
    found = load(path)
    assert found.state == {"step": 7, "nested": {"loss": None}}
    torch.testing.assert_close(found.read_table("model"), table)


def test_holds_no_file_that_is_unpickled(tmp_path: Path) -> None:
    names = {file.name for file in write(tmp_path, 1).iterdir()}
    assert names == {"model-00000.safetensors", "state.json", "complete.json"}


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda p: (p / "complete.json").unlink(), id="no marker"),
        pytest.param(lambda p: (p / "state.json").unlink(), id="a file gone"),
        pytest.param(lambda p: (p / "state.json").write_text("{}"), id="another content"),
        pytest.param(
            lambda p: (p / "model-00000.safetensors").write_bytes(
                (p / "model-00000.safetensors").read_bytes()[:-1]
            ),
            id="cut short",
        ),
        pytest.param(lambda p: (p / "complete.json").write_text("{"), id="half a marker"),
    ],
)
def test_falls_back_to_the_newest_whole_checkpoint_and_says_so(
    damage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, 1)
    damage(write(tmp_path, 2))
    with caplog.at_level(logging.WARNING):
        found = load_newest(tmp_path)
    assert found is not None and found.state == {"step": 1}
    assert "step-00000002" in caplog.text


def test_a_write_that_breaks_off_leaves_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 1)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path, 2)
    found = load_newest(tmp_path)
    assert found is not None and found.state == {"step": 1}


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    save(tmp_path / "best", {"ema": {"w": torch.zeros(1)}, "old": {}}, {"step": 1})
    save(tmp_path / "best", {"ema": {"w": torch.ones(1)}}, {"step": 2})
    found = load(tmp_path / "best")
    assert found.state == {"step": 2} and set(found.tables) == {"ema"}
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_keeps_the_last_few(tmp_path: Path) -> None:
    for step in (5, 90, 1000):
        write(tmp_path, step)
    prune(tmp_path, last=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000090", "step-00001000"]


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_newest(tmp_path / "nowhere") is None


def test_the_marker_holds_a_hash_of_every_other_file(tmp_path: Path) -> None:
    path = write(tmp_path, 1)
    marker = json.loads((path / "complete.json").read_text())
    assert set(marker) == {"model-00000.safetensors", "state.json"}
    assert all(len(value) == 64 for value in marker.values())
