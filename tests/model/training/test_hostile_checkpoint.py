"""A checkpoint that somebody made to harm, or that bits have rotted in."""

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from model.checkpoint import load, load_newest, save, step_path
from tests.model.training.short_run import make_trainer, train


class Bomb:
    """What an unpickler would run."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.trace,)


def write(folder: Path) -> Path:
    path = step_path(folder, 1)
    save(path, {"model": {"weight": torch.arange(6.0).reshape(2, 3)}}, {"step": 1})
    return path


def sign(path: Path) -> None:
    """Write a marker that fits whatever lies in the folder."""
    hashes = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.iterdir()
        if file.name != "complete.json"
    }
    (path / "complete.json").write_text(json.dumps(hashes))


def a_pickle_for_tensors(path: Path, bomb: bytes) -> None:
    (path / "model-00000.safetensors").write_bytes(bomb)
    sign(path)


def a_pickle_beside_them(path: Path, bomb: bytes) -> None:
    (path / "model.pt").write_bytes(bomb)
    sign(path)


def a_pickle_for_the_state(path: Path, bomb: bytes) -> None:
    (path / "state.json").write_bytes(bomb)
    sign(path)


def a_pickle_for_the_marker(path: Path, bomb: bytes) -> None:
    (path / "complete.json").write_bytes(bomb)


def a_name_outside(path: Path, bomb: bytes) -> None:
    marker = json.loads((path / "complete.json").read_text())
    marker["../outside-00000.safetensors"] = hashlib.sha256(bomb).hexdigest()
    (path.parent / "outside-00000.safetensors").write_bytes(bomb)
    (path / "complete.json").write_text(json.dumps(marker))


def a_deep_state(path: Path, bomb: bytes) -> None:
    (path / "state.json").write_text("[" * 100_000)
    sign(path)


def a_list_for_the_state(path: Path, bomb: bytes) -> None:
    (path / "state.json").write_text("[]")
    sign(path)


def a_header_without_pieces(path: Path, bomb: bytes) -> None:
    save_file({"weight": torch.zeros(2, 3)}, path / "model-00000.safetensors")
    sign(path)


def pieces_that_are_no_numbers(path: Path, bomb: bytes) -> None:
    metadata = {"pieces": json.dumps({"weight": "all"})}
    save_file({"weight": torch.zeros(2, 3)}, path / "model-00000.safetensors", metadata)
    sign(path)


ATTACKS: list[Callable[[Path, bytes], None]] = [
    a_pickle_for_tensors,
    a_pickle_beside_them,
    a_pickle_for_the_state,
    a_pickle_for_the_marker,
    a_name_outside,
    a_deep_state,
    a_list_for_the_state,
    a_header_without_pieces,
    pieces_that_are_no_numbers,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__.replace("_", " "))
def test_a_made_up_checkpoint_is_refused_and_nothing_runs(
    attack: Callable[[Path, bytes], None], tmp_path: Path
) -> None:
    path, trace = write(tmp_path), tmp_path / "trace"
    attack(path, pickle.dumps(Bomb(trace)))
    with pytest.raises(ValueError, match="step-00000001"):
        load(path)
    assert load_newest(tmp_path) is None
    assert not trace.exists()


def test_files_that_the_marker_does_not_name_are_not_read(tmp_path: Path) -> None:
    path, trace = write(tmp_path), tmp_path / "trace"
    (path / ".metadata").write_bytes(pickle.dumps(Bomb(trace)))
    assert set(load(path).tables) == {"model"}
    assert not trace.exists()


@pytest.mark.parametrize(
    ("start", "shape"),
    [
        pytest.param(0, [10**12, 3], id="more rows than there are"),
        pytest.param(7, [9, 3], id="rows that nobody has"),
        pytest.param(-1, [2, 3], id="rows before the first"),
    ],
)
def test_slices_that_do_not_make_a_whole_are_refused(
    start: int, shape: list[int], tmp_path: Path
) -> None:
    path = write(tmp_path)
    metadata = {"pieces": json.dumps({"weight": [start, *shape]})}
    save_file({"weight": torch.zeros(2, 3)}, path / "model-00000.safetensors", metadata)
    sign(path)
    with pytest.raises(ValueError, match="weight"):
        load(path).read_table("model")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"steps_done": "many"}, id="a word"),
        pytest.param({"steps_done": -1}, id="below zero"),
        pytest.param({"elapsed_s": float("nan")}, id="no number"),
        pytest.param({"unknown": 1}, id="an unknown field"),
        pytest.param({"plateau": 3}, id="a number for a record"),
    ],
)
def test_a_state_that_no_run_has_is_refused(
    change: dict[str, object], tokens_folder: Path, tmp_path: Path
) -> None:
    train(tokens_folder, tmp_path / "run", stop_after=1)
    path = step_path(tmp_path / "run/checkpoints", 1)
    state = json.loads((path / "state.json").read_text())
    (path / "state.json").write_text(json.dumps(state | change))
    sign(path)
    with pytest.raises(ValueError, match="does not fit this run"):
        make_trainer(tokens_folder, tmp_path / "run")


@pytest.mark.parametrize("width", [3, 128])
def test_weights_of_another_shape_are_refused(
    width: int, tokens_folder: Path, tmp_path: Path
) -> None:
    train(tokens_folder, tmp_path / "run", stop_after=1)
    path = step_path(tmp_path / "run/checkpoints", 1)
    found = load(path)
    tables = {name: found.read_table(name) for name in found.tables}
    tables["model"]["begin"] = torch.zeros(width)
    save(path, tables, found.state)
    with pytest.raises(ValueError, match=r"does not fit this run: begin: .*\(64,\) is needed"):
        make_trainer(tokens_folder, tmp_path / "run")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_or_missing_bytes_are_noticed(data: st.DataObject, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "rotten", ignore_errors=True)
    path = write(tmp_path / "rotten")
    file = path / data.draw(st.sampled_from(sorted(p.name for p in path.iterdir())))
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[place:]
    file.write_bytes(content)
    try:
        found = load(path)
    except ValueError:
        return
    assert file.name == "complete.json", "only white space of the marker may change unnoticed"
    assert found.state == {"step": 1}
    assert found.read_table("model")["weight"].sum() == 15
