"""What a build tells before it begins to fetch."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.decoding.picture import StoredImage
from pipelines.fetch import FetchUnit
from pipelines.fetching.session import FetchKit
from pipelines.flow import tell_hosts
from pipelines.publishing import Generation, PublishFiles
from pipelines.sources import Source, cut_rows
from pipelines.steps import Job, Step
from pipelines.web.settings import FetchSettings
from tokens.manifest import Manifest

SLOW, QUICK = "slow.example", "quick.example"


@pytest.fixture
def rows(tmp_path: Path) -> Manifest:
    """2,000 rows of one host, 10 of another."""
    hosts = [SLOW] * 2000 + [QUICK] * 10
    lines = [f"https://{host}/{n}.jpg,picture {n}" for n, host in enumerate(hosts)]
    (tmp_path / "urls.csv").write_text("\n".join(["url,caption", *lines, ""]))
    source = Source(str(tmp_path / "urls.csv"))
    return cut_rows(str(tmp_path), [source], unit_rows=2010, limit=None, recipe={}, fetch_sha256="")


def make_job(folder: Path, rows: Manifest) -> Job:
    kit = FetchKit(FetchSettings(), StoredImage(), "pairmill")
    work = FetchUnit(str(folder / "rows"), str(folder / "pairs"), "section", kit)
    made = Generation("fetch", str(folder / "pairs"), {}, "section", {})
    outputs = tuple(map(work.output, rows.files))
    return Job((Step("Fetch Images", work, rows.files),), PublishFiles(made, outputs, {"": 2010}))


def test_a_host_that_binds_is_named_before_the_start(
    rows: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = SimpleNamespace(directory=str(tmp_path), fetch=FetchSettings(host_budget_s=600))

    tell_hosts(build, make_job(tmp_path, rows))

    told = capsys.readouterr().out
    assert told.startswith("1 host binds")
    assert f"{SLOW}: 2,000 rows at 1/s" in told
    assert QUICK not in told


def test_nothing_is_told_where_no_host_binds(
    rows: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patient = FetchSettings(host_budget_s=86_400)
    build = SimpleNamespace(directory=str(tmp_path), fetch=patient)

    tell_hosts(build, make_job(tmp_path, rows))

    assert capsys.readouterr().out == ""
