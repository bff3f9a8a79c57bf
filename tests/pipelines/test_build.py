"""The build as its users run it: whole, interrupted, repeated, changed, and given nonsense."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.build import main
from tests.pipelines.conftest import NUM_PICTURES, Site, build_command, run_build
from tokens.manifest import kept_pairs, read_manifest

WHOLE_BUILD_S = 300


def bytes_of(corpus: Path) -> dict[str, bytes]:
    """What must be the same in every build of the same rows: Parquet files and manifests."""
    found = [*corpus.rglob("*.parquet"), *corpus.rglob("manifest.json")]
    return {str(path.relative_to(corpus)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def table(running_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return running_site.write_table(tmp_path_factory.mktemp("table") / "urls.csv")


@pytest.fixture(scope="module")
def whole(
    running_site: Site, table: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """A build that nothing disturbed, on two processes, and what it printed."""
    output = tmp_path_factory.mktemp("whole") / "corpus"
    done = run_build(table, output, recipe, running_site, ["--direct_num_workers", "2"])
    assert done.returncode == 0, done.stderr
    return output, done.stdout


@pytest.mark.timeout(WHOLE_BUILD_S)
def test_every_row_ends_in_one_outcome_and_the_table_says_so(whole: tuple[Path, str]) -> None:
    corpus, printed = whole
    counts = read_manifest(str(corpus / "decisions")).counts
    assert counts == {
        "caption_empty": 1,
        "duplicate_pair": 1,
        "http_404": 1,
        "kept": NUM_PICTURES,
        "not_an_image": 1,
    }
    lines = {line.split()[0]: line.split()[1] for line in printed.splitlines() if line.split()}
    assert lines["read"] == str(NUM_PICTURES + 4)
    for reason, rows in counts.items():
        assert lines[reason] == str(rows)


@pytest.mark.timeout(WHOLE_BUILD_S)
def test_the_manifest_names_what_was_allowed_by_hand(
    whole: tuple[Path, str], running_site: Site
) -> None:
    corpus, _ = whole

    details = read_manifest(str(corpus / "pairs")).details

    assert details["allow_networks"] == ["127.0.0.1/32"]
    assert running_site.port in details["allow_ports"]


@pytest.mark.timeout(WHOLE_BUILD_S)
def test_every_kept_pair_has_tokens_in_its_split(whole: tuple[Path, str]) -> None:
    corpus, _ = whole
    tokens = read_manifest(str(corpus / "tokens"))
    for split, views in (("train", 2), ("val", 1)):
        kept = [p for t in kept_pairs(str(corpus), split) for p in t["pair_id"].to_pylist()]
        for view in range(views):
            files = [corpus / "tokens" / e.name for e in tokens.group(f"{split}/view{view}")]
            found = [p for f in files for p in pq.read_table(f)["pair_id"].to_pylist()]
            assert sorted(found) == sorted(kept)


@pytest.mark.timeout(WHOLE_BUILD_S)
def test_a_trainer_finds_tokenizers_and_a_reader_finds_the_report(whole: tuple[Path, str]) -> None:
    corpus, printed = whole
    assert (corpus / "tokens" / "tokenizers" / "text.json").is_file()
    assert (corpus / "tokens" / "tokenizers" / "image.safetensors").is_file()
    assert f"report: {corpus}/report.html" in printed
    assert (corpus / "report.html").stat().st_size > 10_000
    assert f"card: {corpus}/README.md, {corpus}/croissant.json" in printed
    assert "the card lacks name, description" in printed
    assert not (corpus / "tokens" / "work").exists()
    assert not (corpus / "lock.json").exists()


@pytest.mark.timeout(WHOLE_BUILD_S)
def test_one_worker_writes_the_same_bytes_as_two(
    whole: tuple[Path, str], table: Path, recipe: Path, site: Site, tmp_path: Path
) -> None:
    done = run_build(table, tmp_path / "one", recipe, site, ["--direct_num_workers", "1"])
    assert done.returncode == 0, done.stderr
    assert bytes_of(tmp_path / "one") == bytes_of(whole[0])


@pytest.mark.timeout(WHOLE_BUILD_S)
def test_a_build_that_stopped_early_goes_on_and_a_finished_one_fetches_nothing(
    whole: tuple[Path, str], table: Path, recipe: Path, site: Site, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    first = run_build(table, corpus, recipe, site, ["--limit", "10", "--until", "select"])
    assert first.returncode == 0, first.stderr
    assert not (corpus / "tokens").exists()
    assert sum(site.hits.values()) - site.hits["/robots.txt"] == 10
    second = run_build(table, corpus, recipe, site)
    assert second.returncode == 0, second.stderr
    assert site.hits["/0.png"] == 1
    before, hits = bytes_of(corpus), site.hits.copy()
    third = run_build(table, corpus, recipe, site)
    assert third.returncode == 0, third.stderr
    assert (bytes_of(corpus), site.hits) == (before, hits)
    whole_tokens = {n: b for n, b in bytes_of(whole[0]).items() if n.startswith("tokens/")}
    tokens = {n: b for n, b in before.items() if n.startswith("tokens/") and n.endswith(".parquet")}
    assert {n: b for n, b in whole_tokens.items() if n in tokens} == tokens


@pytest.mark.timeout(WHOLE_BUILD_S)
def test_another_threshold_makes_select_and_what_follows_again_and_no_more(
    whole: tuple[Path, str], table: Path, recipe: Path, site: Site, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    assert run_build(table, corpus, recipe, site, ["--until", "select"]).returncode == 0
    before, hits = bytes_of(corpus), site.hits.copy()
    stricter = tmp_path / "stricter.toml"
    stricter.write_text(recipe.read_text().replace("min_chars = 3 ", "min_chars = 32 "))
    done = run_build(table, corpus, stricter, site, ["--until", "select"])
    assert done.returncode == 0, done.stderr
    after = bytes_of(corpus)
    assert site.hits == hits
    assert read_manifest(str(corpus / "decisions")).counts["caption_length"] > 0
    assert read_manifest(str(corpus / "decisions")).generation == 2
    same = [n for n in before if n.startswith(("pairs/", "signals/")) and n.endswith(".parquet")]
    assert {n: after[n] for n in same} == {n: before[n] for n in same}


def fork_server_of(driver: int) -> int:
    """The process that a driver's workers are forked from, by what it was started as."""
    found = [p for p in children_of(driver) if b"forkserver" in command_of(p)]
    return found[0] if found else 0


def children_of(process: int) -> list[int]:
    try:
        listed = Path(f"/proc/{process}/task/{process}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(child) for child in listed.split()]


def command_of(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def processes_of(driver: int) -> list[int]:
    """A driver's fork server, then its workers."""
    server = fork_server_of(driver)
    return [server, *children_of(server)]


def none_is_left(processes: list[int]) -> bool:
    return not any(Path(f"/proc/{process}").exists() for process in processes)


def wait_until(claim: Callable[[], bool], timeout_s: float = 120.0) -> None:
    end = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < end, "what the test waits for did not happen"
        time.sleep(0.05)


def start_build(table: Path, corpus: Path, recipe: Path, site: Site) -> subprocess.Popen[str]:
    """A build on two processes, in a process group of its own as a terminal would give it."""
    return subprocess.Popen(
        [*build_command(table, corpus, recipe, site), "--direct_num_workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def start_slow_build(table: Path, corpus: Path, recipe: Path, site: Site) -> subprocess.Popen[str]:
    """A build on two processes that has fetched some units and is busy with others."""
    site.delay_s = 0.4
    driver = start_build(table, corpus, recipe, site)
    wait_until(lambda: len(list((corpus / "pairs").glob("*.parquet.json"))) >= 2)
    return driver


@pytest.mark.timeout(WHOLE_BUILD_S)
def test_a_worker_killed_with_9_costs_a_restart_and_not_a_row(
    whole: tuple[Path, str], table: Path, recipe: Path, site: Site, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    driver = start_slow_build(table, corpus, recipe, site)
    _server, worker, *_ = processes_of(driver.pid)
    os.kill(worker, signal.SIGKILL)
    site.delay_s = 0.0
    _, errors = driver.communicate(timeout=WHOLE_BUILD_S)
    assert driver.returncode == 0, errors
    assert bytes_of(corpus) == bytes_of(whole[0])


@pytest.mark.timeout(WHOLE_BUILD_S)
def test_a_fork_server_killed_with_9_is_started_again_when_it_is_needed(
    whole: tuple[Path, str], table: Path, recipe: Path, site: Site, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    driver = start_slow_build(table, corpus, recipe, site)
    for process in processes_of(driver.pid)[:2]:  # with it a worker: it must be forked anew
        os.kill(process, signal.SIGKILL)
    site.delay_s = 0.0
    _, errors = driver.communicate(timeout=WHOLE_BUILD_S)
    assert driver.returncode == 0, errors
    assert bytes_of(corpus) == bytes_of(whole[0])


@pytest.mark.timeout(WHOLE_BUILD_S)
def test_a_driver_killed_with_9_leaves_a_build_that_goes_on(
    whole: tuple[Path, str], table: Path, recipe: Path, site: Site, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    driver = start_slow_build(table, corpus, recipe, site)
    processes = processes_of(driver.pid)
    assert len(processes) == 3
    driver.kill()
    driver.communicate()
    wait_until(lambda: none_is_left(processes), 20.0)
    finished = [pq.read_table(f)["url"].to_pylist() for f in (corpus / "pairs").glob("0*.parquet")]
    site.delay_s = 0.0
    site.hits.clear()
    done = run_build(table, corpus, recipe, site)
    assert done.returncode == 0, done.stderr
    assert bytes_of(corpus) == bytes_of(whole[0])
    again = {f"/{url.rpartition('/')[2]}" for unit in finished for url in unit} & set(site.hits)
    assert again <= {"/1.png", "/3.png"}  # these stand in a second unit as well


@pytest.mark.timeout(WHOLE_BUILD_S)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_the_build_with_its_exit_code(
    table: Path, recipe: Path, site: Site, tmp_path: Path, number: int, code: int
) -> None:
    driver = start_slow_build(table, tmp_path / "corpus", recipe, site)
    server, *workers = processes_of(driver.pid)
    driver.send_signal(number)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == code
    assert errors.splitlines()[-1].startswith("pairmill: stopped by SIG")
    assert none_is_left(workers)
    wait_until(lambda: none_is_left([server]), 20.0)
    assert not (tmp_path / "corpus" / "lock.json").exists()


@pytest.mark.timeout(WHOLE_BUILD_S)
@pytest.mark.parametrize("early", [pytest.param(True, id="while it imports"), False])
def test_ctrl_c_reaches_the_whole_group_and_only_the_driver_answers(
    table: Path, recipe: Path, site: Site, tmp_path: Path, early: bool
) -> None:
    start = start_build if early else start_slow_build
    driver = start(table, tmp_path / "corpus", recipe, site)
    wait_until(lambda: fork_server_of(driver.pid) != 0)
    processes = processes_of(driver.pid)
    os.killpg(driver.pid, signal.SIGINT)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("pairmill: stopped by SIGINT")
    wait_until(lambda: none_is_left(processes), 20.0)


@pytest.mark.timeout(WHOLE_BUILD_S)
def test_a_build_whose_every_row_is_refused_ends_well_and_names_the_flag(
    table: Path, recipe: Path, site: Site, tmp_path: Path
) -> None:
    command = build_command(table, tmp_path / "corpus", recipe, site)
    command = [part for part in command if part not in ("--allow_network", "127.0.0.1/32")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    assert f"{NUM_PICTURES + 3} rows ended as ssrf_blocked: --allow_network" in done.stdout
    assert read_manifest(str(tmp_path / "corpus" / "tokens")).rows == 0
    assert not site.hits


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(["--input", "no.csv"], "no.csv is not there", id="missing file"),
        pytest.param(["--url_column", "link"], "has no column 'link'", id="wrong column"),
        pytest.param(["--recipe", "demmo"], "recipe 'demmo'", id="unknown recipe"),
        pytest.param(["--recipe", "dalle"], "names no image tokenizer", id="no dVAE"),
        pytest.param(["--image_tokenizer", "no.safetensors"], "no.safetensors", id="dVAE missing"),
        pytest.param(["--text_tokenizer", "no.json"], "no.json", id="BPE missing"),
        pytest.param(["--allow_network", "0.0.0.0/0"], "too wide", id="too wide a network"),
        pytest.param(["--contact", "me"], "--contact 'me'", id="a contact that is none"),
        pytest.param(["--runer", "x"], "did you mean --runner", id="a misspelt flag"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    (tmp_path / "urls.csv").write_text("url,caption\nhttp://127.0.0.1/a.png,a\n")
    output = tmp_path / "corpus"
    given = ["--output", str(output), "--recipe", "demo"]
    if "--input" not in flags:
        given += ["--input", str(tmp_path / "urls.csv")]
    assert main([*given, *flags]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert message in errors[0]
    assert not [path for path in output.rglob("*") if path.is_file()]


def test_an_unknown_recipe_key_names_the_nearest_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.toml").write_text("[fetch]\nunit_row = 5\n")
    arguments = ["--input", "x.csv", "--output", str(tmp_path / "c")]
    assert main([*arguments, "--recipe", str(tmp_path / "r.toml")]) == 2
    assert "unit_rows" in capsys.readouterr().err


@pytest.mark.timeout(WHOLE_BUILD_S)
def test_a_folder_of_another_build_is_refused(
    whole: tuple[Path, str],
    table: Path,
    recipe: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = bytes_of(whole[0])
    coarser = tmp_path / "coarser.toml"
    coarser.write_text(recipe.read_text().replace("unit_rows = 5", "unit_rows = 6"))
    arguments = ["--input", str(table), "--output", str(whole[0])]
    assert main([*arguments, "--recipe", str(coarser)]) == 2
    assert "was built with unit_rows = 5" in capsys.readouterr().err
    assert bytes_of(whole[0]) == before
