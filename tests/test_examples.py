"""The bundled sample is what the demo needs, and its server is hostile where it says so."""

import contextlib
import csv
import importlib
import socket
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import zlib
from collections import Counter
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from filters.signals import SIGNAL_TYPES
from pipelines.decoding.picture import StoredImage
from pipelines.fetch import fetch_rows
from pipelines.fetching.session import FetchSession
from pipelines.recipe import load_recipe
from pipelines.score import score_pairs
from pipelines.selecting.verdicts import apply_rules
from pipelines.sources import Source, make_rows_table, read_rows
from pipelines.web.addresses import WEB_PORTS, AddressGuard
from pipelines.web.settings import FetchSettings

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SAMPLE = EXAMPLES / "clipart"
HOSTILE_OUTCOMES = {
    "A dragon that nobody has kept": "http_404",
    "An HTML page under a picture's name": "not_an_image",
    "A picture of 20,000 by 20,000 pixels in a small file": "too_many_pixels",
    "A drawing in a format that is no picture": "format_refused",
    "A paper about pictures": "format_refused",
    "The cloud's address for its machines' secrets": "ssrf_blocked",
}


def import_script(name: str) -> ModuleType:
    """A script of examples/, found as Python finds it when it is run."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(EXAMPLES))


serve = import_script("serve")
demo = import_script("demo")
make_sample = import_script("make_sample")


@pytest.fixture(scope="module")
def base_url():
    """The sample's server on a port of its own."""
    with serve.open_server(SAMPLE, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def fetched(base_url, tmp_path_factory):
    """Every row of the sample's table after a true fetch."""
    table = tmp_path_factory.mktemp("sample") / "captions.csv"
    table.write_text(demo.list_urls(base_url), encoding="utf-8")
    rows = make_rows_table(list(read_rows(Source(str(table)))), 0, 0)
    guard = AddressGuard(("127.0.0.1/32",), (*WEB_PORTS, int(base_url.rpartition(":")[2])))
    settings = FetchSettings(guard=guard)
    with FetchSession(settings, StoredImage(192, "png"), "pairmill") as session:
        return fetch_rows(rows, session, on_done=lambda rows: None)


def read_sample():
    with (SAMPLE / "captions.csv").open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.headers, answer.read()


def test_the_sample_is_about_400_pictures_of_4_mb_at_most():
    files = list(SAMPLE.rglob("*.png"))
    assert 380 <= len(files) <= 420
    assert sum(file.stat().st_size for file in SAMPLE.rglob("*") if file.is_file()) <= 4_000_000


def test_the_table_names_every_picture_and_no_other():
    named = {row["path"] for row in read_sample() if row["license"] == "public domain"}
    assert named == {file.relative_to(SAMPLE).as_posix() for file in SAMPLE.rglob("*.png")}


def test_every_hostile_row_comes_to_its_own_end(fetched):
    ends = dict(zip(fetched["caption"].to_pylist(), fetched["outcome"].to_pylist(), strict=True))
    assert {caption: ends[caption] for caption in HOSTILE_OUTCOMES} == HOSTILE_OUTCOMES


def test_every_other_row_with_a_caption_is_fetched(fetched):
    outcomes = Counter(fetched["outcome"].to_pylist())
    captions = fetched["caption"].to_pylist()
    assert outcomes["caption_empty"] == captions.count("")
    expected = len(captions) - len(HOSTILE_OUTCOMES) - outcomes["caption_empty"]
    assert outcomes["ok"] == expected, outcomes


def test_one_row_stands_twice(fetched):
    pair_ids = Counter(fetched["pair_id"].to_pylist())
    assert sorted(pair_ids.values())[-2:] == [1, 2]


def test_the_demo_keeps_about_three_quarters_and_drops_some_by_every_rule_but_length(fetched):
    recipe = load_recipe("demo")
    names = [name for rule in recipe.select.rules for name in rule.signals]
    signals = score_pairs(fetched, {name: SIGNAL_TYPES[name] for name in names})
    reasons = apply_rules(signals, fetched["outcome"].combine_chunks(), recipe.select.rules).reasons
    counts = Counter(reasons.to_pylist())
    assert 0.7 <= counts["kept"] / len(fetched) <= 0.8
    assert min(counts[r] for r in ("boilerplate", "language", "aspect_ratio", "short_side")) >= 10


def test_captions_have_the_dirt_of_the_source(fetched):
    captions = fetched["caption"].to_pylist()
    for dirt in ("ralf@ark.in-berlin.de", "(Wed Aug 25", "danger électrique", "Cigno", "&#39;"):
        assert any(dirt in caption for caption in captions), dirt
    assert Counter(captions).most_common(1)[0][1] >= 20
    assert max(map(len, captions)) > 100


def test_pictures_have_the_dirt_of_the_source():
    pictures = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in SAMPLE.rglob("*.png")]
    sides = np.array([sorted(pixels.shape[:2]) for pixels in pictures])
    see_through = [pixels.shape[2:] == (4,) and pixels[..., 3].min() == 0 for pixels in pictures]
    assert np.mean(see_through) > 0.5
    assert (sides[:, 1] > 2 * sides[:, 0]).sum() >= 10
    assert (sides[:, 0] < 128).sum() >= 20


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("hostile/page.png", "text/html; charset=utf-8"),
        ("hostile/huge.png", "image/png"),
        ("hostile/drawing.svg", "image/svg+xml"),
        ("hostile/paper.pdf", "application/pdf"),
        ("captions.csv", "text/csv"),
    ],
)
def test_the_server_gives_each_answer_its_type_and_length(base_url, path, content_type):
    headers, body = get(f"{base_url}/{path}")
    assert headers["Content-Type"] == content_type
    assert int(headers["Content-Length"]) == len(body)


def test_the_huge_picture_is_a_true_png_in_a_small_file(base_url):
    _, body = get(f"{base_url}/hostile/huge.png")
    assert len(body) < 100_000
    assert struct.unpack(">II", body[16:24]) == (20_000, 20_000)
    (length,) = struct.unpack(">I", body[33:37])
    assert len(zlib.decompress(body[41 : 41 + length])) == 20_000 * 2_501


@pytest.mark.parametrize("path", ["missing/dragon.png", "../setup.cfg", "%2e%2e/setup.cfg"])
def test_the_server_gives_nothing_from_outside_its_folder(base_url, path):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"{base_url}/{path}")


def test_a_burst_of_dials_waits_for_a_busy_server_instead_of_being_refused():
    with serve.open_server(SAMPLE, 0) as server, contextlib.ExitStack() as dials:
        for _ in range(100):  # nobody accepts them yet
            dials.enter_context(socket.create_connection(server.server_address, timeout=2))


def test_the_server_says_in_one_line_that_a_port_is_taken(base_url, capsys):
    assert serve.main(["--port", base_url.rpartition(":")[2]]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_server_refuses_a_folder_that_is_not_there(tmp_path, capsys):
    assert serve.main(["--folder", str(tmp_path / "none")]) == 2
    assert "none is not a folder" in capsys.readouterr().err


def test_urls_are_those_of_the_server_but_for_absolute_ones():
    table = list(csv.DictReader(demo.list_urls("http://127.0.0.1:8000").splitlines()))
    sample = read_sample()
    assert [row["caption"] for row in table] == [row["caption"] for row in sample]
    for row, given in zip(table, sample, strict=True):
        if given["path"].startswith("http"):
            assert row["url"] == given["path"] == "http://169.254.169.254/latest/meta-data/"
        else:
            assert row["url"].startswith("http://127.0.0.1:8000/")


def fill(folder, table):
    """An earlier demo's folder, with something in it that is not the demo's."""
    (folder / "corpus").mkdir()
    (folder / "corpus" / "report.html").write_text("report")
    (folder / "captions.csv").write_text(table)
    (folder / "samples.png").write_text("samples")
    (folder / "mine.txt").write_text("mine")


@pytest.mark.parametrize(
    ("table", "fresh", "kept"),
    [
        pytest.param("urls", False, True, id="the same urls: goes on"),
        pytest.param("urls", True, False, id="the same urls, fresh: starts afresh"),
        pytest.param("other urls", False, False, id="other urls: starts afresh"),
    ],
)
def test_an_earlier_demo_is_gone_on_with_only_where_its_urls_are_the_same(
    tmp_path, table, fresh, kept
):
    fill(tmp_path, "urls")
    demo.settle_folder(tmp_path, table, fresh)
    assert (tmp_path / "corpus").exists() == (tmp_path / "samples.png").exists() == kept
    assert (tmp_path / "captions.csv").read_text() == table
    assert (tmp_path / "mine.txt").exists()


def test_a_step_that_fails_ends_the_demo_with_its_code(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "run_demo", lambda *_: demo.run_step("-c", "raise SystemExit(3)"))
    assert demo.main(["--out", str(tmp_path)]) == 3
    printed = capsys.readouterr()
    assert "$ python -c 'raise SystemExit(3)'" in printed.out
    assert "ended with code 3" in printed.err and "done in" not in printed.out


def test_the_next_port_is_taken_when_one_is_not_free(base_url, monkeypatch, capsys):
    taken = int(base_url.rpartition(":")[2])
    monkeypatch.setattr(demo, "PORTS", (taken, 0))
    with demo.open_any_server() as server:
        assert server.server_port != taken
    assert f"port {taken} cannot be had" in capsys.readouterr().out


def make_picture(number, **changes):
    about = {"path": f"food/{number:03d}.png", "caption": f"dish {number}", "is_link": False}
    return make_sample.Picture(**about | {"width": 200, "height": 150, "bytes": 9_000} | changes)


def test_the_sample_depends_on_the_collection_and_not_on_its_order():
    collection = [make_picture(number) for number in range(200)]
    chosen = make_sample.choose_sample(collection)
    assert chosen == make_sample.choose_sample(collection[::-1])
    assert len({picture.path for picture in chosen}) == len(chosen) == 40 + 24


def test_the_sample_takes_no_links_and_no_large_files():
    collection = [make_picture(number, is_link=True) for number in range(50)]
    collection += [make_picture(number, bytes=20_001) for number in range(50, 100)]
    assert make_sample.choose_sample(collection) == []


@pytest.fixture
def collection(tmp_path):
    """Three pictures as Debian packs them, PNG and SVG apart."""
    titles = {"a b": "<dc:title>A &amp;\n B</dc:title>", "c": "<dc:title/>", "d": ""}
    for name, title in titles.items():
        for kind in ("png", "svg"):
            (tmp_path / kind / "food").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(
            str(tmp_path / "png" / "food" / f"{name}.png"), np.zeros((150, 200, 3), np.uint8)
        )
        (tmp_path / "svg" / "food" / f"{name}.svg").write_text(
            '<svg xmlns:dc="http://purl.org/dc/elements/1.1/">'
            f"{title}<dc:description>about {name}</dc:description></svg>"
        )
    return ["--png", str(tmp_path / "png"), "--svg", str(tmp_path / "svg")]


def test_a_caption_is_the_title_or_the_description_where_it_is_empty(collection, tmp_path):
    assert make_sample.main([*collection, "--out", str(tmp_path / "out")]) == 0
    with (tmp_path / "out" / "captions.csv").open(newline="") as opened:
        rows = [(row["path"], row["caption"]) for row in csv.DictReader(opened)]
    assert rows[:3] == [
        ("food/a b.png", "A & B"),
        ("food/c.png", "about c"),
        ("food/d.png", "about d"),
    ]
    assert len(rows) == 3 + 10
    assert (tmp_path / "out" / "food" / "a b.png").exists()


def test_all_lists_full_urls_and_copies_nothing(collection, tmp_path):
    more = ["--all", "--base_url", "http://127.0.0.1:9/", "--out", str(tmp_path / "out")]
    assert make_sample.main([*collection, *more]) == 0
    assert (tmp_path / "out" / "captions.csv").read_text().splitlines()[:2] == [
        "url,caption,license",
        "http://127.0.0.1:9/food/a%20b.png,A & B,public domain",
    ]
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_the_sample_is_not_written_over_something_else(collection, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    assert make_sample.main([*collection, "--out", str(tmp_path / "out")]) == 2
    assert (tmp_path / "out" / "thesis.txt").exists()
    assert "--out" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_runs_twice_and_fetches_once(tmp_path):
    command = [sys.executable, EXAMPLES / "demo.py", "--out", tmp_path, "--minutes", "0.2"]
    for _ in range(2):
        ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "report.html" in ended.stdout
    for name in ("report.html", "samples.png", "corpus/tokens/manifest.json"):
        assert (tmp_path / name).exists(), name
    assert not (tmp_path / "corpus" / "pairs" / "manifest-1.json").exists()
