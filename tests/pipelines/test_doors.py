"""How a door ends, and what it says then (lists R04 and R10)."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from pipelines.doors import BadInput, BuildFailed, run_door


def end_with(error: BaseException) -> int:
    def act() -> None:
        raise error

    return run_door(act)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        pytest.param(BadInput("no such file"), 2, "no such file", id="bad input"),
        pytest.param(BuildFailed("two items"), 1, "two items", id="the build failed"),
        pytest.param(
            OSError(errno.ENOSPC, "No space left on device", "a/b"),
            1,
            "[Errno 28] No space left on device: 'a/b': make room, and the same command goes on "
            "from here",
            id="full disk",
        ),
    ],
)
def test_ends_with_a_code_and_one_sentence(
    capsys: pytest.CaptureFixture[str], error: Exception, code: int, told: str
) -> None:
    assert end_with(error) == code
    assert capsys.readouterr().err == f"pairmill: {told}\n"


def test_any_other_error_is_not_hidden() -> None:
    with pytest.raises(OSError, match="permission"):
        end_with(OSError(errno.EACCES, "permission denied"))


STUBBORN = """
import os, signal, sys, time
from pipelines.doors import run_door

def act():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("tidying up", flush=True)
        time.sleep(60)

sys.exit(run_door(act))
"""


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (signal.SIGINT, signal.SIGINT),
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGINT, signal.SIGTERM),
        (signal.SIGTERM, signal.SIGINT),
    ],
)
def test_a_second_signal_ends_it_at_once(first: signal.Signals, second: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as door:
        assert door.stdout is not None
        assert door.stdout.readline() == "ready\n"
        door.send_signal(first)
        assert door.stdout.readline() == "tidying up\n"
        door.send_signal(second)

        assert door.wait(20) == -second
