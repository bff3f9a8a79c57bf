"""Inputs of every kind through the build's door: several sources in one build, counted apart."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest

from pipelines.build import main
from tests.pipelines.conftest import Site, draw_picture, run_build
from tests.pipelines.inputs import test_pictures_at_hand as at_hand
from tests.pipelines.inputs.test_dialects import YFCC_URL, yfcc_line
from tokens.manifest import kept_pairs, read_manifest

BUILD_S = 300
KINDS = ("folder", "csv", "bytes", "struct", "tar")
ROWS = 3


def write_kinds(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A list of one source of each kind, of three pictures each that no other has."""
    lines = []
    for number, kind in enumerate(KINDS):
        folder = path / kind
        folder.mkdir()
        pictures = tuple(draw_picture(1000 + 10 * number + n) for n in range(ROWS))
        monkeypatch.setattr(at_hand, "PICTURES", pictures)
        source = getattr(at_hand, f"as_{kind}")(folder)
        lines += ["[[source]]", f'input = "{Path(source.url).relative_to(path)}"']
        lines += [f'name = "{kind}"', f'license = "licence of {kind}"']
        lines += [f'image_column = "{source.columns.image}"'] if source.columns.image else []
    (path / "list.toml").write_text("\n".join(lines))
    return path / "list.toml"


def build(listed: Path, output: Path, recipe: Path, *more: str) -> str:
    command = [sys.executable, "-m", "pipelines.build", "--input", str(listed)]
    command += ["--output", str(output), "--recipe", str(recipe), "--until", "select", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=BUILD_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(2 * BUILD_S)
def test_pictures_at_hand_of_every_kind_become_pairs_without_a_network(
    tmp_path: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    listed = write_kinds(tmp_path / "in", monkeypatch)
    corpus = tmp_path / "corpus"

    build(listed, corpus, recipe, "--direct_num_workers", "2")

    rows = read_manifest(str(corpus / "rows"))
    assert [one["name"] for one in rows.details["sources"]] == list(KINDS)
    assert [one["rows"] for one in rows.details["sources"]] == [ROWS] * len(KINDS)
    assert read_manifest(str(corpus / "pairs")).counts == {"ok": ROWS * len(KINDS)}
    kept = [
        pair
        for table in kept_pairs(str(corpus), columns=("url", "caption", "license", "sha256"))
        for pair in table.to_pylist()
    ]
    assert Counter(pair["license"] for pair in kept) == {
        f"licence of {kind}": ROWS for kind in KINDS
    }
    assert len({pair["sha256"] for pair in kept}) == ROWS * len(KINDS)
    assert {pair["url"].partition("/")[0] for pair in kept} == set(KINDS)

    build(listed, tmp_path / "again", recipe, "--direct_num_workers", "1")
    for name in ("rows", "pairs", "decisions"):
        for file in read_manifest(str(corpus / name)).files:
            assert (tmp_path / "again" / name / file.name).read_bytes() == (
                corpus / name / file.name
            ).read_bytes()


@pytest.mark.timeout(2 * BUILD_S)
def test_lists_of_several_dialects_are_fetched_and_counted_apart(
    site: Site, recipe: Path, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{site.port}"
    (tmp_path / "Train_GCC-training.tsv").write_text(f"the house\t{url}/0.png\na boat\t{url}/1.png")
    (tmp_path / "cc12m.tsv").write_text(f"{url}/2.png\tthe birds over the sea\n")
    photo = yfcc_line(1).replace(YFCC_URL, f"{url}/3.png")
    (tmp_path / "yfcc100m_dataset-0").write_text(photo + yfcc_line(2, title="", marker="1"))
    (tmp_path / "list.toml").write_text(
        "".join(
            f'[[source]]\ninput = "{file}"\ndialect = "{dialect}"\n'
            for file, dialect in (
                ("Train_*.tsv", "cc3m"),
                ("cc12m.tsv", "cc12m"),
                ("yfcc100m_dataset-[0-9]", "yfcc100m"),
            )
        )
    )
    corpus = tmp_path / "corpus"

    done = run_build(tmp_path / "list.toml", corpus, recipe, site, ["--until", "select"])

    assert done.returncode == 0, done.stderr
    assert read_manifest(str(corpus / "pairs")).counts == {"ok": 4, "video": 1}
    assert site.hits["/3.png"] == 1
    pairs = read_manifest(str(corpus / "pairs"))
    tables = [pq.read_table(corpus / "pairs" / file.name) for file in pairs.files]
    by_source = {
        one["dialect"]: [
            outcome
            for table in tables[one["first_unit"] : one["first_unit"] + one["units"]]
            for outcome in table["outcome"].to_pylist()
        ]
        for one in read_manifest(str(corpus / "rows")).details["sources"]
    }
    assert by_source == {"cc3m": ["ok", "ok"], "cc12m": ["ok"], "yfcc100m": ["ok", "video"]}


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--input", "nowhere/*.csv"], "pairmill: nowhere/*.csv matches nothing"),
        (["--input", "list.toml"], "pairmill: list.toml cannot be read as a list of sources"),
        (["--input", "empty"], "is a folder without any NNNNN.parquet"),
        (["--input", "nowhere.tar"], "pairmill: nowhere.tar is not there"),
    ],
)
@pytest.mark.timeout(BUILD_S)
def test_a_source_that_is_none_is_one_sentence(
    tmp_path: Path,
    flags: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main([*flags, "--output", "out", "--until", "fetch"]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


@pytest.mark.timeout(BUILD_S)
def test_a_list_may_name_nothing_that_remote_workers_cannot_reach(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("url,caption\n")
    memory = fsspec.filesystem("memory")
    memory.pipe("/lists/list.toml", f'[[source]]\ninput = "{tmp_path}/a.csv"\n'.encode())
    flags = ["--input=memory://lists/list.toml", "--output=memory://out", "--until=fetch"]
    flags += ["--runner=Dataflow", "--project=p", "--region=r", "--temp_location=gs://b/t"]

    assert main(flags) == 2
    assert "a.csv is on this machine, where Dataflow's workers cannot" in capsys.readouterr().err
