"""What the process is like that workers are forked from."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from multiprocessing.context import ForkServerProcess

import pytest

from pipelines.running import fork_server
from pipelines.running.fork_server import NO_THREADS, PRELOAD, _interrupts_blocked, environment

DESCRIBE = f"""
import json, os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGINT}})  # as fork_server starts it
import importlib.util, logging
import {PRELOAD}
from pipelines.running.bare_beam import EXTRAS
print(json.dumps({{
    "threads": len(os.listdir("/proc/self/task")),
    "imported": sorted(sys.modules),
    "extras": EXTRAS,
    "findable": [name for name in EXTRAS if importlib.util.find_spec(name)],
    "warns": logging.getLogger("beam").isEnabledFor(logging.WARNING),
    "hears_ctrl_c": signal.getsignal(signal.SIGINT) is not signal.SIG_IGN,
    "blocked": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
}}))
"""


@pytest.fixture(scope="module")
def described() -> dict[str, object]:
    """A process that has imported what the fork server does, in its environment."""
    done = subprocess.run(
        [sys.executable, "-c", DESCRIBE],
        env=os.environ | NO_THREADS,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_it_has_one_thread(described: dict[str, object]) -> None:
    assert described["threads"] == 1


def test_it_has_imported_what_workers_need_and_torch_is_not_of_it(
    described: dict[str, object],
) -> None:
    imported = described["imported"]
    assert isinstance(imported, list)
    assert {"apache_beam", "aiohttp", "pyarrow", "pipelines.running.worker"} <= set(imported)
    assert "torch" not in imported


def test_beams_extras_are_not_imported_and_may_be_later(described: dict[str, object]) -> None:
    imported, extras = described["imported"], described["extras"]
    assert isinstance(imported, list)
    assert isinstance(extras, list)
    assert "pandas" in extras
    assert not {*extras, "pymongo", "google.cloud.storage"} & set(imported)
    assert described["findable"] == [name for name in extras if importlib.util.find_spec(name)]


def test_warnings_are_heard_after_the_imports(described: dict[str, object]) -> None:
    assert described["warns"] is True


def test_ctrl_c_is_for_the_driver(described: dict[str, object]) -> None:
    assert described["hears_ctrl_c"] is False
    assert described["blocked"] == []


def test_what_it_needs_of_the_environment_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    monkeypatch.delenv("JE_ARROW_MALLOC_CONF", raising=False)
    with environment(NO_THREADS):
        assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert os.environ["OPENBLAS_NUM_THREADS"] == "7"
    assert "JE_ARROW_MALLOC_CONF" not in os.environ


def test_a_process_started_meanwhile_hears_no_ctrl_c() -> None:
    before = interrupts_are_blocked_for_a_child()
    with _interrupts_blocked():
        assert interrupts_are_blocked_for_a_child()
    assert interrupts_are_blocked_for_a_child() == before


def interrupts_are_blocked_for_a_child() -> bool:
    status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, check=True).stdout
    (mask,) = (line for line in status.splitlines() if line.startswith(b"SigBlk:"))
    return bool(int(mask.split()[1], 16) & 1 << signal.SIGINT - 1)


def test_a_worker_is_asked_for_again_where_the_server_is_just_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[ForkServerProcess] = []
    tries = fork_server.FORK_ATTEMPTS

    def begin(process: ForkServerProcess) -> None:
        asked.append(process)
        if len(asked) < tries:
            raise [EOFError, ConnectionResetError][len(asked) % 2]

    monkeypatch.setattr(fork_server, "start", lambda: None)
    monkeypatch.setattr(fork_server, "FORK_PAUSE_S", 0.0)
    monkeypatch.setattr(ForkServerProcess, "start", begin)
    ours, _ = fork_server.context.Pipe()
    assert fork_server.fork(print, ours) is asked[-1]
    monkeypatch.setattr(fork_server, "FORK_ATTEMPTS", tries - 1)
    asked.clear()
    with pytest.raises(EOFError):
        fork_server.fork(print, ours)
