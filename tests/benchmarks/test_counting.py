"""That a benchmark counts all that a program set to work."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

COUNTING = Path(__file__).parents[2] / "benchmarks" / "fetching" / "counting.py"

BURN = "import time\nwhile time.process_time() < 0.6: pass\n"
"""A process that takes 0.6 seconds of CPU."""


def leave(program: str) -> str:
    """A program that starts another one and ends at once, without waiting for it."""
    return (
        "import subprocess, sys, os\n"
        f"subprocess.Popen([sys.executable, '-S', '-c', {program!r}])\n"
        "os._exit(7)\n"
    )


def count(program: str, file: Path) -> tuple[dict[str, float], int]:
    command = [sys.executable, str(COUNTING), str(file), sys.executable, "-S", "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return json.loads(file.read_text()), ended.returncode


@pytest.mark.parametrize(
    ("program", "orphans", "code"),
    [
        pytest.param(BURN, 0, 0, id="the program itself"),
        pytest.param(leave(BURN), 1, 7, id="a child that outlives it"),
        pytest.param(leave(leave(BURN)), 2, 7, id="a grandchild that outlives both"),
    ],
)
def test_all_that_comes_of_a_program_is_counted(
    tmp_path: Path, program: str, orphans: int, code: int
) -> None:
    counted, ended = count(program, tmp_path / "counted.json")
    assert 0.6 <= counted["cpu_s"] < 2.0
    assert (counted["orphans"], ended) == (orphans, code)


def test_the_plain_way_would_miss_what_is_left_behind() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-S", "-c", leave(BURN)]
    subprocess.run(command, capture_output=True, check=False, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5
