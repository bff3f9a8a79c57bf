"""What a run writes down about each of its starts: RUN/starts.jsonl, one JSON object a start.

With `config.json` (settings, data, manifest hash) and `metrics.jsonl` it tells which program made
which steps, where and of what.
"""

import datetime
import json
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from model.training.distribution import Distribution

PACKAGES = ("pairmill", "torch", "numpy", "pyarrow", "safetensors", "tokenizers")


def record_start(path: Path, step: int, distribution: Distribution) -> None:
    """Add this start, from `step` on, to the file."""
    with path.open("a") as file:
        file.write(json.dumps(describe_start(step, distribution), sort_keys=True) + "\n")


def describe_start(step: int, distribution: Distribution) -> dict[str, Any]:
    device = distribution.device
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "step": step,
        "command": sys.argv,
        "host": platform.node(),
        "ranks": distribution.world.size,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "git_commit": git_commit(Path(__file__).parent),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_commit(folder: Path) -> str | None:
    """The commit that the program was run from, marked where files differ from it; None where
    it was installed from no repository, or there is no git."""
    try:
        commit = _ask_git(folder, "rev-parse", "HEAD")
        changed = _ask_git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit} with changes" if changed else commit


def _ask_git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=10, check=True
    ).stdout.strip()
