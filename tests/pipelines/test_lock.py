"""One driver at a time in a build's folder."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

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
