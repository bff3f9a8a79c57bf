"""Asking again what may have passed: as a job in this process, and as a door."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.decoding.picture import StoredImage
from pipelines.fetch import FetchUnit
from pipelines.fetching.retry_units import plan_retry, splice
from pipelines.fetching.session import FetchKit
from pipelines.ledger import FETCH_OUTCOMES
from pipelines.publishing import Generation, PublishFiles
from pipelines.sources import Columns, Source, cut_rows
from pipelines.steps import ItemRunner, Job, Step
from pipelines.web.addresses import AddressGuard
from pipelines.web.settings import FetchSettings
from tests.pipelines.conftest import Site, run_build
from tokens.manifest import Manifest, read_manifest, read_table

UNIT_ROWS = 5


def run_job(job: Job) -> Manifest:
    """A job in this process, without Beam."""
    for step in job.steps:
        runner = ItemRunner(step.work)
        for item in step.unfinished():
            list(runner.begin(item))
        list(runner.finish())
        runner.close()
    return job.publish()


@pytest.fixture
def kit(site: Site) -> FetchKit:
    guard = AddressGuard(("127.0.0.1/32",), (site.port,))
    return FetchKit(FetchSettings(guard=guard, max_retries=0), StoredImage(64), "pairmill")


@pytest.fixture
def rows(site: Site, tmp_path: Path) -> Manifest:
    table = site.write_table(tmp_path / "urls.csv")
    return cut_rows(
        str(tmp_path),
        [Source(str(table))],
        unit_rows=UNIT_ROWS,
        limit=None,
        recipe={},
        fetch_sha256="section",
    )


def fetch(folder: Path, rows: Manifest, kit: FetchKit, sources: tuple[str, ...] = ()) -> Manifest:
    pairs = str(folder / "pairs")
    work = FetchUnit(str(folder / "rows"), pairs, "section", kit, sources)
    made = Generation("fetch", pairs, {}, "section", {})
    outputs = tuple(map(work.output, rows.files))
    steps = (Step("Fetch Images", work, rows.files),)
    return run_job(Job(steps, PublishFiles(made, outputs, {"": rows.rows}, FETCH_OUTCOMES)))


def retry(folder: Path, rows: Manifest, old: Manifest, kit: FetchKit) -> Manifest:
    return run_job(plan_retry((str(folder / "rows"), str(folder / "pairs")), rows, old, kit))


def column(folder: Path, made: Manifest, name: str) -> list[object]:
    tables = [read_table(str(folder / "pairs"), entry, [name]) for entry in made.files]
    return [value for table in tables for value in table[name].to_pylist()]


def test_only_rows_that_may_have_passed_are_asked_for_again(
    site: Site, kit: FetchKit, rows: Manifest, tmp_path: Path
) -> None:
    site.down |= {"/2.png", "/7.png"}
    first = fetch(tmp_path, rows, kit)
    assert first.counts["http_5xx"] == 2
    site.down.clear()
    site.hits.clear()

    second = retry(tmp_path, rows, first, kit)

    assert set(site.hits) - {"/robots.txt"} == {"/2.png", "/7.png"}
    expected = first.counts | {"ok": first.counts["ok"] + 2}
    del expected["http_5xx"]
    assert second.counts == expected
    assert second.generation == first.generation + 1


@pytest.mark.parametrize("name", ["row", "url", "pair_id", "caption"])
def test_every_row_keeps_its_place(
    site: Site, kit: FetchKit, rows: Manifest, tmp_path: Path, name: str
) -> None:
    site.down |= {"/2.png", "/23.png"}
    first = fetch(tmp_path, rows, kit)
    before = column(tmp_path, first, name)
    site.down.clear()

    assert column(tmp_path, retry(tmp_path, rows, first, kit), name) == before


def test_a_picture_that_no_server_has_is_not_asked_for(
    site: Site, kit: FetchKit, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    url = f"http://127.0.0.1:{site.port}/1.png"
    told = [
        {"file": "gone.png", "caption": "a"},
        {"file": "gone.png", "caption": "b", "url": url},
    ]
    lines = map(json.dumps, told)
    (tmp_path / "photos" / "t.jsonl").write_text("\n".join(lines))
    source = Source(str(tmp_path / "photos" / "t.jsonl"), Columns(image="file"))
    rows = cut_rows(
        str(tmp_path), [source], unit_rows=5, limit=None, recipe={}, fetch_sha256="section"
    )
    first = fetch(tmp_path, rows, kit, (source.url,))
    assert first.counts == {"truncated_body": 2}

    second = retry(tmp_path, rows, first, kit)

    assert column(tmp_path, second, "outcome") == ["truncated_body", "ok"]
    assert set(site.hits) - {"/robots.txt"} == {"/1.png"}


def test_a_unit_without_such_rows_keeps_its_file(
    site: Site, kit: FetchKit, rows: Manifest, tmp_path: Path
) -> None:
    site.down |= {"/2.png"}
    first = fetch(tmp_path, rows, kit)
    site.down.clear()

    second = retry(tmp_path, rows, first, kit)

    changed = [a.index for a, b in zip(first.files, second.files, strict=True) if a != b]
    assert changed == [2 // UNIT_ROWS]
    assert first.files[0].name != second.files[0].name
    assert (tmp_path / "pairs" / first.files[0].name).exists()


def test_what_is_still_down_may_be_asked_a_third_time(
    site: Site, kit: FetchKit, rows: Manifest, tmp_path: Path
) -> None:
    site.down |= {"/2.png"}
    first = fetch(tmp_path, rows, kit)
    second = retry(tmp_path, rows, first, kit)
    assert second.counts == first.counts
    site.down.clear()

    third = retry(tmp_path, rows, second, kit)

    assert "http_5xx" not in third.counts
    assert third.details["rounds"] == {"0": 2}


def test_splice_replaces_rows_in_their_place() -> None:
    numbers = np.arange(1000)
    again = numbers % 7 == 3
    pairs = pa.table({"number": numbers})
    fresh = pa.table({"number": -numbers[again]})

    assert splice(pairs, again, fresh)["number"].to_pylist() == [
        -n if n % 7 == 3 else n for n in range(1000)
    ]


@pytest.fixture
def corpus(site: Site, recipe: Path, tmp_path: Path) -> Iterator[Path]:
    """A build that went to its end while two pictures could not be had."""
    site.down |= {"/4.png", "/11.png"}
    table = site.write_table(tmp_path / "urls.csv")
    ended = run_build(table, tmp_path / "corpus", recipe, site, ["--until", "fetch"])
    assert ended.returncode == 0, ended.stderr
    site.down.clear()
    yield tmp_path / "corpus"


def run_retry(corpus: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.retry", str(corpus)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)


@pytest.mark.timeout(400)  # four processes that import Beam
def test_the_door_brings_what_was_down_and_the_build_takes_it_on(
    site: Site, corpus: Path, recipe: Path
) -> None:
    ended = run_retry(corpus)
    assert ended.returncode == 0, ended.stderr
    assert "http_5xx                         2 -> 0" in ended.stdout

    site.hits.clear()
    again = run_retry(corpus)
    assert "nothing to fetch again" in again.stdout
    assert not site.hits

    table = corpus.parent / "urls.csv"
    built = run_build(table, corpus, recipe, site, ["--until", "select"])
    assert built.returncode == 0, built.stderr
    assert not site.hits
    assert "http_5xx" not in read_manifest(str(corpus / "decisions")).counts


def test_a_folder_that_is_no_build_is_refused_in_one_sentence(tmp_path: Path) -> None:
    ended = run_retry(tmp_path)

    assert ended.returncode == 2
    assert "is not there" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
