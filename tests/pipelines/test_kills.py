"""A build whose whole process group is killed again and again, or stopped by a signal, then run on.

Lists R01 and R10. What the server was asked tells whether a finished unit was fetched twice.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.gc import main as gc
from pipelines.verify import main as verify
from tests.pipelines.conftest import Site, build_command, run_build
from tests.pipelines.small_build import read_corpus
from tokens.manifest import read_manifest

BUSY_S = 900
"""Six builds on a machine that is busy with other things."""
SEED = 5
ROUNDS = 20
STANDS_TWICE = {"/1.png", "/3.png"}
"""In two rows of the table each, of other units."""
TIMED = ("report.html", "report.json")
"""The pages for people tell seconds."""


@pytest.fixture(scope="module")
def table(running_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return running_site.write_table(tmp_path_factory.mktemp("table") / "urls.csv")


@pytest.fixture(scope="module")
def whole(
    running_site: Site, table: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], float]:
    """What a build leaves that nobody disturbed, and how many seconds it took."""
    corpus = tmp_path_factory.mktemp("whole") / "corpus"
    started = time.monotonic()
    done = run_build(table, corpus, recipe, running_site, TWO)
    assert done.returncode == 0, done.stderr
    return read_all(corpus), time.monotonic() - started


TWO = ["--direct_num_workers", "2"]


def read_all(corpus: Path) -> dict[str, Any]:
    return {name: content for name, content in read_corpus(corpus).items() if name not in TIMED}


def start(command: list[str]) -> subprocess.Popen[str]:
    """A driver that leads a process group of its own."""
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stop(driver: subprocess.Popen[str], number: signal.Signals) -> str:
    """Signal the whole group and wait for its end; returns what it said."""
    os.killpg(driver.pid, number)
    return driver.communicate(timeout=60)[1]


def wait_for(claim: Callable[[], Any], driver: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 300
    while not claim() and driver.poll() is None:
        if time.monotonic() > end:
            pytest.fail(f"what the test waits for did not happen: {stop(driver, signal.SIGKILL)}")
        time.sleep(0.01)


def finished_urls(corpus: Path) -> set[str]:
    """Paths of the pictures in units that are committed."""
    records = (corpus / "pairs").glob("*.parquet.json")
    tables = [pq.read_table(record.with_suffix("")) for record in records]
    return {f"/{url.rpartition('/')[2]}" for one in tables for url in one["url"].to_pylist()}


def check_end(corpus: Path, expected: dict[str, Any]) -> None:
    """Byte-identical to an undisturbed build once the killed writers' files are swept away."""
    found = read_all(corpus)
    assert {name: found.get(name) for name in expected} == expected
    assert gc([str(corpus), "--apply", "--older_than_hours", "0"]) == 0
    assert read_all(corpus) == expected
    assert not list(corpus.rglob("*.tmp"))
    assert verify([str(corpus)]) == 0


FAULT_POINTS = (
    ("pairs/*.parquet", signal.SIGKILL, -9),
    ("signals/*.parquet", signal.SIGTERM, 143),
    ("decisions/join/*", signal.SIGINT, 130),
    ("tokens/work/*", signal.SIGKILL, -9),
)
"""In each stage: as soon as such a file is there, this signal to the group, this exit code."""


@pytest.mark.timeout(BUSY_S)
def test_a_group_stopped_in_every_stage_ends_with_the_same_bytes(
    whole: tuple[dict[str, Any], float], table: Path, recipe: Path, site: Site, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    command = [*build_command(table, corpus, recipe, site), *TWO]
    for pattern, number, code in FAULT_POINTS:
        finished = finished_urls(corpus)
        site.hits.clear()
        driver = start(command)
        wait_for(lambda pattern=pattern: list(corpus.glob(pattern)), driver)
        told = stop(driver, number)
        assert driver.returncode == code, told
        assert set(site.hits) & finished <= STANDS_TWICE

    finished = finished_urls(corpus)
    site.hits.clear()
    done = run_build(table, corpus, recipe, site, TWO)

    assert done.returncode == 0, done.stderr
    assert not set(site.hits) & finished
    assert read_manifest(str(corpus / "tokens")).generation == 1
    check_end(corpus, whole[0])


@pytest.mark.slow
@pytest.mark.timeout(ROUNDS * BUSY_S)
def test_a_group_killed_with_9_at_twenty_random_moments_ends_with_the_same_bytes(
    whole: tuple[dict[str, Any], float], table: Path, recipe: Path, site: Site, tmp_path: Path
) -> None:
    expected, seconds = whole
    draws, corpus = random.Random(SEED), tmp_path / "corpus"
    command = [*build_command(table, corpus, recipe, site), *TWO]
    kills = 0
    while kills < ROUNDS:
        finished = finished_urls(corpus)
        site.hits.clear()
        driver = start(command)
        try:
            _, errors = driver.communicate(timeout=draws.uniform(0.1, 1.1 * seconds))
            assert driver.returncode == 0, errors
            check_end(corpus, expected)
            shutil.rmtree(corpus)  # it has survived: from the beginning, for the other moments
        except subprocess.TimeoutExpired:
            stop(driver, signal.SIGKILL)
            kills += 1
        assert set(site.hits) & finished <= STANDS_TWICE

    done = run_build(table, corpus, recipe, site, TWO)
    assert done.returncode == 0, done.stderr
    check_end(corpus, expected)
