"""Pairs that are taken down leave nothing behind, cost no other pair anything, and stay away."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.loading.corpus import TokenCorpus
from pipelines.checking.verification import verify_build
from pipelines.commit import hash_file, unit_output
from pipelines.doors import BadInput
from pipelines.lock import JOURNAL_NAME, hold_lock
from pipelines.pairs import make_pair_id
from pipelines.purge import main
from pipelines.purging import flow as purge_flow
from pipelines.purging.flow import Purge, purge
from pipelines.purging.tombstones import TOMBSTONES_NAME, read_tombstones
from tests.pipelines.conftest import NUM_PICTURES, WORDS, Site, run_build
from tokens.manifest import Manifest, read_manifest, read_table

FOLDERS = ("rows", "pairs", "signals", "decisions", "tokens")
GONE = 7
"""The picture that the tests take down."""
TIMEOUT_S = 400


def url_of(site: Site, number: int) -> str:
    return f"http://127.0.0.1:{site.port}/{number}.png"


def caption_of(number: int) -> str:
    return f"{WORDS[number % 3]} number {number}"


def build(table: Path, corpus: Path, recipe: Path, site: Site, *more: str) -> str:
    done = run_build(table, corpus, recipe, site, ["--direct_num_workers", "1", *more])
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def table(running_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return running_site.write_table(tmp_path_factory.mktemp("purge") / "urls.csv")


@pytest.fixture(scope="module")
def built(
    running_site: Site, table: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A whole build."""
    corpus = tmp_path_factory.mktemp("built") / "corpus"
    build(table, corpus, recipe, running_site)
    return corpus


@pytest.fixture
def corpus(built: Path, tmp_path: Path) -> Path:
    """A copy of it, to be purged."""
    return Path(shutil.copytree(built, tmp_path / "corpus"))


def write_list(folder: Path, *lines: str) -> str:
    path = folder / "take_down.txt"
    path.write_text("\n".join(lines))
    return str(path)


def manifests(corpus: Path) -> dict[str, Manifest]:
    return {name: read_manifest(str(corpus / name)) for name in FOLDERS if (corpus / name).exists()}


def rows_of(corpus: Path, folder: str) -> list[dict[str, object]]:
    tables = [read_table(str(corpus / folder), entry) for entry in manifests(corpus)[folder].files]
    return [row for table in tables for row in table.to_pylist()]


def picture_of(corpus: Path, number: int) -> dict[str, object]:
    (pair,) = [
        pair
        for pair in rows_of(corpus, "pairs")
        if pair["caption"] == caption_of(number) and pair["row"] == number
    ]
    return pair


def holders(corpus: Path, *needles: bytes) -> list[str]:
    """Files that hold one of the needles as they stand, or in a Parquet column."""
    found = []
    for path in sorted(path for path in corpus.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if path.suffix == ".parquet":
            data += repr(pq.read_table(path).to_pylist()).encode()
        if any(needle in data or repr(needle)[2:-1].encode() in data for needle in needles):
            found.append(str(path.relative_to(corpus)))
    return found


def canaries(corpus: Path, site: Site, number: int) -> tuple[bytes, ...]:
    """What must be found nowhere once a pair is gone: its URL, caption, picture and digests."""
    pair = picture_of(corpus, number)
    image = bytes(pair["image"])  # type: ignore[call-overload]
    return (
        f":{site.port}/{number}.png".encode(),
        caption_of(number).encode(),
        image[len(image) // 2 : len(image) // 2 + 64],
        bytes(pair["sha256"]),  # type: ignore[call-overload]
        bytes(pair["pixel_hash"]),  # type: ignore[call-overload]
    )


def bytes_of(corpus: Path) -> dict[str, bytes]:
    found = [path for path in corpus.rglob("*") if path.is_file()]
    return {str(path.relative_to(corpus)): path.read_bytes() for path in found}


def line_of(kind: str, corpus: Path, site: Site) -> str:
    """A list's line that names the picture GONE alone."""
    pair = picture_of(corpus, GONE)
    if kind == "phash":
        (signals,) = [
            row for row in rows_of(corpus, "signals") if row["pair_id"] == pair["pair_id"]
        ]
        return f"phash:{signals['phash']:016x} 0"
    lines = {
        "url": f"HTTP://127.0.0.1:{site.port}/{GONE}.png#top",
        "pair_id": make_pair_id(url_of(site, GONE), caption_of(GONE)).hex(),
        "sha256": pair["sha256"].hex(),  # type: ignore[attr-defined]
    }
    return lines[kind]


def take_down(corpus: Path, *lines: str) -> Purge:
    return purge(str(corpus), [write_list(corpus.parent, *lines)], "asked by mail")


def buried(row: dict[str, object]) -> bool:
    return "tombstoned" in (row.get("outcome"), row.get("reason"))


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("kind", ["url", "pair_id", "sha256", "phash"])
def test_nothing_of_a_pair_is_left_and_its_row_stays_in_the_books(
    site: Site, corpus: Path, kind: str
) -> None:
    needles, before = canaries(corpus, site, GONE), manifests(corpus)
    pair_id = make_pair_id(url_of(site, GONE), caption_of(GONE))
    views = sum(row["pair_id"] == pair_id for row in rows_of(corpus, "tokens"))
    assert len(holders(corpus, *needles)) >= 2 + views

    result = take_down(corpus, line_of(kind, corpus, site))

    assert holders(corpus, *needles) == []
    assert "tombstoned" in (corpus / "report.html").read_text()
    after = manifests(corpus)
    for folder, column in (("rows", "outcome"), ("pairs", "outcome"), ("decisions", "reason")):
        (row,) = [row for row in rows_of(corpus, folder) if row["pair_id"] == pair_id]
        told = {name for name, value in row.items() if value not in (None, "", False)}
        assert told <= {"source", "row", "pair_id", column}
        assert row[column] == "tombstoned"
    assert after["decisions"].counts == before["decisions"].counts | {
        "kept": NUM_PICTURES - 1,
        "tombstoned": 1,
    }
    assert after["tokens"].rows == before["tokens"].rows - views
    assert [change.rows for change in result.changes] == [1, 1, 1, 1, views]
    assert {name: one.generation for name, one in after.items()} == dict.fromkeys(FOLDERS, 2)
    assert (result.listed, result.missed, result.earlier, result.pairs) == (1, 0, 0, 1)


@pytest.mark.timeout(TIMEOUT_S)
def test_only_touched_files_are_written_anew_and_all_are_as_the_manifests_say(
    site: Site, corpus: Path
) -> None:
    before, rows = manifests(corpus), {name: rows_of(corpus, name) for name in FOLDERS}
    pair_id = make_pair_id(url_of(site, GONE), caption_of(GONE))

    take_down(corpus, url_of(site, GONE))

    after = manifests(corpus)
    unit = {f"{GONE // 5:05d}"}
    for folder in FOLDERS[:-1]:
        gone_files = {e.name for e in before[folder].files} - {e.name for e in after[folder].files}
        assert {name[:5] for name in gone_files} == unit
        assert not any((corpus / folder / name).exists() for name in gone_files)
    for folder in FOLDERS:
        others = [row for row in rows[folder] if row.get("pair_id") != pair_id]
        left = [row for row in rows_of(corpus, folder) if not buried(row)]
        left = [row for row in left if row.get("pair_id") != pair_id]
        assert left == (others if folder != "rows" else others[:GONE] + others[GONE + 1 :])
    trained_on = TokenCorpus(str(corpus / "tokens"))
    for split in ("train", "val"):
        read = trained_on.read_split(split, 100, 0)
        assert read is not None
        assert len(read.pair_ids) == trained_on.rows(split)
    found = verify_build(str(corpus))
    assert (found.damaged, found.behind, found.strays) == ((), (), ())
    assert not (corpus / JOURNAL_NAME).exists()


@pytest.mark.timeout(TIMEOUT_S)
def test_the_next_build_finds_every_stage_current(
    site: Site, corpus: Path, table: Path, recipe: Path
) -> None:
    command = [sys.executable, "-m", "pipelines.purge", str(corpus), "--list"]
    command += [write_list(corpus.parent, url_of(site, GONE), "nobody.example", "# a comment")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "listed               2  1 found, 0 taken down before, 1 not found" in done.stdout
    assert re.search("tokens +[12]  rows, [12] of 3 files written anew", done.stdout)
    needles, purged = (f"/{GONE}.png".encode(), caption_of(GONE).encode()), bytes_of(corpus)
    assert not any(needle in (done.stdout + done.stderr).encode() for needle in needles)

    printed = build(table, corpus, recipe, site)

    assert not site.hits
    assert bytes_of(corpus) == purged
    assert "tombstoned                     1" in printed


@pytest.mark.timeout(TIMEOUT_S)
def test_a_list_that_is_given_again_changes_nothing(site: Site, corpus: Path) -> None:
    take_down(corpus, url_of(site, GONE), "nobody.example")
    purged = bytes_of(corpus)

    again = take_down(corpus, url_of(site, GONE), "nobody.example", "somebody.example")

    assert (again.listed, again.earlier, again.missed, again.pairs) == (3, 2, 1, 0)
    assert {change.anew for change in again.changes} == {0}
    changed = {name for name, data in bytes_of(corpus).items() if purged.get(name) != data}
    assert changed == {TOMBSTONES_NAME}


@pytest.mark.timeout(TIMEOUT_S)
def test_a_host_takes_all_its_pairs_and_the_corpus_may_be_empty(
    corpus: Path, table: Path, recipe: Path, site: Site
) -> None:
    result = take_down(corpus, "127.0.0.1")

    assert result.pairs == NUM_PICTURES + 3
    assert manifests(corpus)["decisions"].counts == {"tombstoned": NUM_PICTURES + 4}
    assert manifests(corpus)["tokens"].rows == 0
    assert holders(corpus, *(f":{site.port}/".encode(), b"the hill", b"a dead link")) == []
    build(table, corpus, recipe, site)
    assert not site.hits


@pytest.mark.timeout(TIMEOUT_S)
def test_what_no_manifest_names_is_searched_too(site: Site, corpus: Path) -> None:
    """An earlier generation, a stage that was interrupted, a killed write, a list of clusters."""
    needles = canaries(corpus, site, GONE)
    pairs, decisions = corpus / "pairs", corpus / "decisions"
    unit = pairs / manifests(corpus)["pairs"].files[GONE // 5].name
    strays = [pairs / "00001-0123abcd.parquet", pairs / f".00001.{'0' * 32}.tmp"]
    for stray in strays:
        shutil.copy(unit, stray)
    strays.append(corpus / f".report.html.{'0' * 32}.tmp")
    shutil.copy(corpus / "report.html", strays[-1])
    (corpus / "tokens" / "work").mkdir()
    strays.append(corpus / "tokens" / "work" / "run-00001-0123abcd.arrow")
    shutil.copy(unit, strays[-1])
    other = pairs / "00002-0123abcd.parquet"
    shutil.copy(pairs / manifests(corpus)["pairs"].files[2].name, other)
    ids = [make_pair_id(url_of(site, n), caption_of(n)) for n in (GONE, GONE + 1)]
    clusters = pa.table({"cluster": [1, 1], "pair_id": pa.array(ids, pa.binary(16))})
    pq.write_table(clusters, decisions / "clusters.parquet")

    take_down(corpus, url_of(site, GONE))

    assert not any(stray.exists() for stray in strays)
    assert other.exists()
    assert pq.read_table(decisions / "clusters.parquet")["pair_id"].to_pylist() == ids[1:]
    assert holders(corpus, *needles) == []


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("killed", [False, True])
def test_lists_beside_the_decisions_lose_their_rows_and_the_manifest_knows(
    site: Site, corpus: Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    ids = [make_pair_id(url_of(site, n), caption_of(n)) for n in (GONE, GONE + 1)]
    listed = corpus / "decisions" / "clusters.parquet"
    pq.write_table(pa.table({"pair_id": pa.array(ids, pa.binary(16))}), listed)
    old = manifests(corpus)["decisions"]
    details = {**old.details, "beside": {listed.name: hash_file(str(listed))}}
    (corpus / "decisions" / "manifest.json").write_text(replace(old, details=details).to_json())

    if killed:
        with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
            patch.setattr(purge_flow, "thin_out_lists", lambda *_: 1 / 0)
            take_down(corpus, url_of(site, GONE))
    take_down(corpus, url_of(site, GONE))

    assert pq.read_table(listed)["pair_id"].to_pylist() == ids[1:]
    found = verify_build(str(corpus))
    assert (found.damaged, found.behind, found.strays) == ((), (), ())


@pytest.mark.timeout(TIMEOUT_S)
def test_a_stage_that_was_behind_stays_behind(site: Site, corpus: Path) -> None:
    """Its files are no substitute for what the next build will make of the purged input."""
    folder = corpus / "signals"
    old = read_manifest(str(folder))
    stale = replace(old, inputs={"pairs": "what the pairs were before a retry"})
    renamed = replace(old.files[GONE // 5], name=f"{GONE // 5:05d}-0123abcd.parquet")
    (folder / old.files[GONE // 5].name).rename(folder / renamed.name)
    files = tuple(renamed if e.index == renamed.index else e for e in old.files)
    (folder / "manifest.json").write_text(replace(stale, files=files).to_json())

    take_down(corpus, url_of(site, GONE))

    after = manifests(corpus)
    assert after["signals"].inputs == stale.inputs
    planned = unit_output("", GONE // 5, old.section_sha256, after["pairs"].files[1].sha256)
    assert planned.name not in {entry.name for entry in after["signals"].files}


@pytest.mark.timeout(TIMEOUT_S)
def test_neither_a_retry_nor_a_longer_list_brings_it_back(
    site: Site, table: Path, recipe: Path, tmp_path: Path
) -> None:
    """By URL and caption, by URL alone, and by the bytes at another URL."""
    corpus = tmp_path / "corpus"
    site.down.add("/4.png")
    build(table, corpus, recipe, site, "--until", "fetch")
    take_down(corpus, url_of(site, GONE), url_of(site, 4))
    site.down.clear()
    site.hits.clear()
    command = [sys.executable, "-m", "pipelines.retry", str(corpus)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "nothing to fetch again" in done.stdout
    more = tmp_path / "more.csv"
    urls = [(GONE, caption_of(GONE)), (GONE, "another one"), ("copy", "a copy"), (9, "again")]
    lines = [f"http://127.0.0.1:{site.port}/{name}.png,{text}" for name, text in urls]
    more.write_text("\n".join(["url,caption", *lines, ""]))

    build(table, corpus, recipe, site, "--input", str(more), "--until", "select")

    assert dict(site.hits) == {"/robots.txt": 1, "/copy.png": 1, "/9.png": 1}
    assert [row["outcome"] for row in rows_of(corpus, "pairs")[-4:]] == [*["tombstoned"] * 3, "ok"]
    assert manifests(corpus)["decisions"].counts["tombstoned"] == 5
    assert holders(corpus, f"/{GONE}.png".encode(), caption_of(GONE).encode(), b"another one") == []
    assert sum(".parquet.json" not in path.name for path in (corpus / "pairs").glob("0*")) == 7


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("lists", [True, False])
def test_a_purge_that_was_broken_off_is_finished_before_anything_else(
    site: Site, corpus: Path, monkeypatch: pytest.MonkeyPatch, lists: bool
) -> None:
    needles = canaries(corpus, site, GONE)
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(purge_flow, "publish_all", lambda *_: 1 / 0)
        take_down(corpus, url_of(site, GONE))
    assert holders(corpus, *needles)
    half = pytest.raises(BadInput, match=r"python -m pipelines\.purge .* finishes it")
    with half, hold_lock(str(corpus)):
        raise AssertionError("a build would have run")

    purge(str(corpus), [write_list(corpus.parent, url_of(site, GONE))] if lists else [], None)

    assert holders(corpus, *needles) == []
    with hold_lock(str(corpus)):
        pass
    assert set(read_tombstones(str(corpus)).marks.values()) == {"asked by mail"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param(["two words"], "line 1: 'two words' is neither a URL", id="no entry"),
        pytest.param(["example.org"], "holds no finished stage", id="no build"),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[str], message: str
) -> None:
    (tmp_path / "corpus").mkdir()

    assert main([str(tmp_path / "corpus"), "--list", write_list(tmp_path, *lines)]) == 2

    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert message in errors[0]
    assert not list((tmp_path / "corpus").iterdir())


def test_a_list_that_is_not_there_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--list", str(tmp_path / "none.txt")]) == 2
    assert "none.txt cannot be read as a list" in capsys.readouterr().err


@pytest.mark.parametrize(
    "every",
    [
        pytest.param(9, id="some", marks=pytest.mark.timeout(TIMEOUT_S)),
        pytest.param(1, id="all", marks=[pytest.mark.slow, pytest.mark.timeout(3_600)]),
    ],
)
def test_killed_at_any_instant_it_goes_on_to_the_same_bytes(
    site: Site, corpus: Path, tmp_path: Path, every: int
) -> None:
    command = [sys.executable, "-m", "tests.pipelines.purging.purge_kills", str(corpus)]
    command += [write_list(tmp_path, url_of(site, GONE)), str(tmp_path / "scratch"), str(every)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["wrong"] == []
    assert told["instants"] * every >= 30
