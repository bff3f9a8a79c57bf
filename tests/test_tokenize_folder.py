"""The folder `tokenize/` must not stand in the way of the standard library's module."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run_python(arguments: list[str], folder: Path) -> str:
    """What Python prints when it is started in `folder` as a user would start it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    finished = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_the_folder_has_no_init_file() -> None:
    assert (ROOT / "tokenize/tokens/__init__.py").exists()
    assert not (ROOT / "tokenize/__init__.py").exists()


@pytest.mark.parametrize("folder", [".", "tokenize", "model", "pipelines"])
def test_import_tokenize_finds_the_standard_library(folder: str) -> None:
    printed = run_python(["-c", "import tokenize; print(tokenize.__file__)"], ROOT / folder)
    assert Path(printed.strip()) == Path(sysconfig.get_path("stdlib"), "tokenize.py")


def test_the_standard_librarys_tokenize_still_runs_in_the_checkout() -> None:
    assert "ENCODING" in run_python(["-m", "tokenize", "tokenize/tokens/__init__.py"], ROOT)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-m", "pipelines.build"], id="pipelines.build"),
        pytest.param([str(ROOT / "model/train.py")], id="model/train.py"),
        pytest.param([str(ROOT / "tokenize/train_text.py")], id="tokenize/train_text.py"),
    ],
)
def test_a_door_opens_from_another_directory(arguments: list[str], tmp_path: Path) -> None:
    assert "usage:" in run_python([*arguments, "--help"], tmp_path)
