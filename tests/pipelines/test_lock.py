"""One driver at a time in a build's folder (list R05)."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest

from pipelines import lock
from pipelines.doors import BadInput
from pipelines.lock import JOURNAL_NAME, hold_lock


def write_lock(folder: Path, host: str, process: int, expires: float) -> None:
    (folder / "lock.json").write_text(
        json.dumps({"host": host, "process": process, "expires": expires})
    )


def test_a_second_driver_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    with (
        hold_lock(str(tmp_path)),
        pytest.raises(BadInput, match=f"in use by process {os.getpid()} on "),
        hold_lock(str(tmp_path)),
    ):
        pass


def test_the_lock_goes_with_its_holder(tmp_path: Path) -> None:
    with hold_lock(str(tmp_path)):
        assert (tmp_path / "lock.json").exists()
    assert not (tmp_path / "lock.json").exists()


def test_a_folder_whose_purge_was_broken_off_is_the_purges_alone(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).write_text("{}")

    with pytest.raises(BadInput, match="was broken off"), hold_lock(str(tmp_path)):
        pass
    with hold_lock(str(tmp_path), purging=True):
        pass


def test_a_lock_on_another_host_holds_until_it_expires(tmp_path: Path) -> None:
    write_lock(tmp_path, "elsewhere", 1, time.time() + 60)
    with pytest.raises(BadInput, match="process 1 on elsewhere"), hold_lock(str(tmp_path)):
        pass
    write_lock(tmp_path, "elsewhere", 1, time.time() - 1)
    with hold_lock(str(tmp_path)):
        pass


def test_a_driver_killed_with_9_does_not_keep_its_lock(tmp_path: Path) -> None:
    code = (
        "import os, signal; from pipelines.lock import hold_lock\n"
        f"with hold_lock({str(tmp_path)!r}): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert (tmp_path / "lock.json").exists()
    with hold_lock(str(tmp_path)):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": "a"}'])
def test_a_torn_lock_holds_nobody_up(tmp_path: Path, text: str) -> None:
    (tmp_path / "lock.json").write_text(text)
    with hold_lock(str(tmp_path)):
        assert json.loads((tmp_path / "lock.json").read_text())["process"] == os.getpid()


def test_of_drivers_that_begin_at_the_same_instant_one_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew, drivers, ended = lock._renew, threading.Barrier(4), threading.Event()

    def renew_slowly(url: str) -> None:
        time.sleep(0.05)  # long enough for the others to look, were they let
        renew(url)

    def drive(_number: int) -> bool:
        drivers.wait(10)
        try:
            with hold_lock(str(tmp_path)):
                ended.wait(10)
                return True
        except BadInput:
            return False

    monkeypatch.setattr(lock, "_renew", renew_slowly)
    with ThreadPoolExecutor(4) as threads:
        driving = [threads.submit(drive, number) for number in range(4)]
        while sum(one.done() for one in driving) < 3:
            time.sleep(0.01)
        ended.set()
        assert sum(one.result() for one in driving) == 1


def test_on_an_object_store_who_wrote_last_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = "memory://lock-written-last"
    renew = lock._renew

    def renew_and_be_followed(url: str) -> None:
        renew(url)
        other = {"host": "elsewhere", "process": 1, "expires": time.time() + 60}
        with fsspec.open(url, "w") as file:
            json.dump(other, file)

    monkeypatch.setattr(lock, "_renew", renew_and_be_followed)
    with pytest.raises(BadInput, match="process 1 on elsewhere"), hold_lock(directory):
        pass
    assert fsspec.filesystem("memory").exists("/lock-written-last/lock.json")


def test_takes_away_no_lock_but_its_own(tmp_path: Path) -> None:
    with hold_lock(str(tmp_path)):  # for longer than it lasts: another driver took over
        write_lock(tmp_path, "elsewhere", 1, time.time() + 60)
    assert json.loads((tmp_path / "lock.json").read_text())["host"] == "elsewhere"


def test_a_disk_that_is_full_for_a_while_does_not_end_the_renewing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew, tries = lock._renew, []

    def renew_when_there_is_room(url: str) -> None:
        tries.append(url)
        if len(tries) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        renew(url)

    monkeypatch.setattr(lock, "_renew", renew_when_there_is_room)
    monkeypatch.setattr(lock, "EXPIRY_S", 0.2)
    with hold_lock(str(tmp_path)):
        end = time.monotonic() + 20
        while len(tries) < 4:
            assert time.monotonic() < end
            time.sleep(0.01)
