"""Every figure that needs a GPU, in one table: training, sampling, codes of pictures.

    make bench-gpu          # or: python benchmarks/gpu.py

runs train.py --gpu, sample.py --gpu and encode.py one after another, each in a process of its own,
and prints a row per figure beside its goal (on one H200). Each of these says how it measures.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

FOLDER = Path(__file__).parent
PROGRAMS = ("train.py --gpu", "sample.py --gpu", "encode.py")
GOALS = {
    "small / paper's masks / MFU, %": "40",
    "medium / paper's masks / MFU, %": "45",
    "large / paper's masks / MFU, %": "45",
    "batch 1 / seconds per picture": "below 0.7",
    "batch 64 / pictures per second": "60",
}


def run(program: str) -> list[dict[str, Any]]:
    """What a program prints: one JSON document, or one on each line."""
    name, *flags = program.split()
    command = [sys.executable, str(FOLDER / name), *flags]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    try:
        return [json.loads(text)]
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def rows(found: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, object]]:
    """A nested document's values, each with the names that lead to it."""
    if "program" in found:
        path, found = (*path, found["program"]), {k: v for k, v in found.items() if k != "program"}
    for name, value in found.items():
        if isinstance(value, dict):
            yield from rows(value, (*path, name))
        else:
            yield " / ".join((*path, name)), value


def main() -> int:
    if not torch.cuda.is_available():
        print("gpu: torch finds no CUDA device", file=sys.stderr)
        return 2
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}\n")
    print("| program | figure | measured | goal |\n|---|---|---|---|")
    for program in PROGRAMS:
        for document in run(program):
            for name, value in rows(document):
                print(f"| {program} | {name} | {value} | {GOALS.get(name, '')} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
