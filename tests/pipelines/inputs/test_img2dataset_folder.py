"""Folders that img2dataset has written are read back: every picture, and every failure's reason."""

import hashlib
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.decoding.picture import StoredImage
from pipelines.fetch import fetch_rows
from pipelines.fetching.session import FetchSession
from pipelines.inputs.img2dataset_members import read_members
from pipelines.inputs.source import Columns, Row, Source
from pipelines.pairs import OF_BODY
from pipelines.sources import cut_rows, hash_source, make_rows_table, read_rows
from pipelines.web.faultserver import fault_server, picture
from pipelines.web.settings import FetchSettings
from tokens.manifest import read_table

PROGRAM = Path(__file__).with_name("write_img2dataset_folders.py")
FORMATS = ("parquet", "webdataset", "files")
MAX_BYTES = 2**20


def draw(width: int, height: int) -> bytes:
    return bytes(cv2.imencode(".png", np.full((height, width, 3), 90, np.uint8))[1])


PAGES = {"/small.png": draw(10, 10), "/large.png": draw(200, 200), "/wide.png": draw(95, 25)}

ENDS = (
    ("{}/ok", None),
    ("{}/missing", "http_404"),
    ("{}/status?code=403", "http_4xx"),
    ("{}/status?code=410", "http_410"),
    ("{}/status?code=429", "http_429"),
    ("{}/status?code=500", "http_5xx"),
    ("{}/status?code=304", "bad_http"),
    ("{}/loop", "too_many_redirects"),
    ("{}/redirect?to=file:///etc/hostname", "scheme_not_allowed"),
    ("{}/redirect?to=/ok", None),
    ("{}/short", "truncated_body"),
    ("{}/silence", "timeout"),
    ("{}/banner", "bad_http"),
    ("{}/hang_up", "connect_failed"),
    ("{}/opted_out", "optout_header"),
    ("{}/page", "decode_error"),
    ("{}/empty", "empty_body"),
    ("{}/small.png", "too_small"),
    ("{}/large.png", "too_many_pixels"),
    ("{}/wide.png", "format_refused"),
    ("{}/ok#with-another-hash", "hash_mismatch"),
    ("http://127.0.0.1:9/a.jpg", "connect_failed"),
    ("http://nowhere.invalid/a.jpg", "dns_failure"),
    ("gopher://127.0.0.1/a.jpg", "scheme_not_allowed"),
    ("no scheme", "bad_url"),
    ("http://127.0.0.1/a b", "bad_url"),
    ("http://127.0.0.1/\u00e9", "bad_url"),
    ("http://127.0.0.1:port/", "bad_url"),
    ("{tls}/ok", "tls_error"),
)
"""URL, and how its row ends; {} is the server."""


@dataclass(frozen=True)
class Folders:
    """What img2dataset made of ENDS, in each format."""

    path: Path
    urls: tuple[str, ...]

    def copy(self, name: str, to: Path) -> Path:
        return Path(shutil.copytree(self.path / name, to / name))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    path = tmp_path_factory.mktemp("img2dataset")
    with fault_server(pages=PAGES) as server:
        base = server.url("")
        urls = tuple(
            url.replace("{tls}", base.replace("http:", "https:")).replace("{}", base)
            for url, _ in ENDS
        )
        hashes = [_hash_of(url) for url in urls]
        columns = {
            "url": urls,
            "caption": [f"caption {number}" for number in range(len(urls))],
            "license": ["CC0"] * len(urls),
            "sha256": hashes,
        }
        pq.write_table(pa.table(columns), path / "table.parquet")
        command = [sys.executable, str(PROGRAM), str(path / "table.parquet"), str(path)]
        subprocess.run(command, check=True, timeout=120, capture_output=True)
    return Folders(path, urls)


def _hash_of(url: str) -> str:
    """Of the bytes that the server gives; wrong for one URL."""
    path = "/" + url.partition("//")[2].partition("/")[2]
    bodies = PAGES | {path: picture() for path in ("/ok", "/redirect?to=/ok", "/opted_out")}
    bodies |= {"/page": b"<!DOCTYPE html><p>Buy this domain", "/empty": b""}
    return hashlib.sha256(bodies.get(path, b"")).hexdigest()


def rows_of(folder: Path) -> list[Row]:
    return list(read_rows(Source(str(folder))))


@pytest.mark.parametrize("name", FORMATS)
def test_every_row_keeps_its_end(folders: Folders, name: str) -> None:
    rows = {row.url: row for row in rows_of(folders.path / name)}

    assert {url.decode(): row.outcome for url, row in rows.items()} == {
        url: outcome for url, (_, outcome) in zip(folders.urls, ENDS, strict=True)
    }
    for number, url in enumerate(folders.urls):
        row = rows[url.encode()]
        assert (row.caption, row.license) == (f"caption {number}".encode(), b"CC0")
        assert row.expected_hash is None
        assert (row.shard is None) == (row.member is None) == (row.outcome is not None)
        assert (row.signal is None) == (row.outcome is None)


@pytest.mark.parametrize("name", FORMATS)
def test_every_stored_picture_is_brought(folders: Folders, name: str) -> None:
    stored = [row for row in rows_of(folders.path / name) if row.shard is not None]

    assert len(stored) == 2
    for row in stored:
        [(member, fetched)] = read_members(
            f"{folders.path / name}/{row.shard}", [row.member], MAX_BYTES
        )
        assert (member, fetched.outcome) == (row.member, "ok")
        pixels = cv2.imdecode(np.frombuffer(fetched.body, np.uint8), cv2.IMREAD_UNCHANGED)
        assert pixels.shape == (48, 72, 3)  # as the program made it of 64 x 96


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_may_be_in_an_object_store(folders: Folders, name: str) -> None:
    url = f"memory://{name}/run"
    fsspec.filesystem("memory").put(str(folders.path / name), f"/{name}/run", recursive=True)

    there, here = list(read_rows(Source(url))), rows_of(folders.path / name)

    assert [row.outcome for row in there] == [row.outcome for row in here]
    assert hash_source(Source(url)) == hash_source(Source(str(folders.path / name)))
    row = next(row for row in there if row.shard is not None)
    [(_, fetched)] = read_members(f"{url}/{row.shard}", [row.member], MAX_BYTES)
    assert fetched.outcome == "ok"


def test_rows_go_into_the_build_as_they_are(folders: Folders, tmp_path: Path) -> None:
    source = Source(str(folders.path / "webdataset"))
    manifest = cut_rows(
        str(tmp_path), [source], unit_rows=50, limit=None, recipe={}, fetch_sha256="f"
    )
    table = read_table(str(tmp_path / "rows"), manifest.files[0]).to_pylist()

    assert manifest.inputs["sources"][0]["format"] == "img2dataset"
    assert len(table) == len(ENDS)
    [missing] = [row for row in table if row["url"].endswith("/missing")]
    assert (missing["outcome"], missing["signal"]) == ("http_404", "HTTP Error 404: Not Found")
    [kept] = [row for row in table if row["url"] == folders.urls[0]]
    assert (kept["outcome"], kept["signal"]) == (None, None)
    assert kept["shard"] == "00000.tar"  # no path: the folder may lie elsewhere tomorrow
    assert (kept["original_width"], kept["original_height"]) == (96, 64)


@pytest.mark.parametrize("name", FORMATS)
def test_no_byte_is_fetched_again(folders: Folders, name: str) -> None:
    """The server is gone by now, and no address may be dialled."""
    rows = rows_of(folders.path / name)
    with FetchSession(FetchSettings(), StoredImage(), "pairmill") as session:
        table, sources = make_rows_table(rows, 0, 0), [str(folders.path / name)]
        pairs = fetch_rows(table, session, lambda rows: None, sources).to_pylist()

    assert [pair["outcome"] for pair in pairs] == [row.outcome or "ok" for row in rows]
    assert {(pair["original_width"], pair["original_height"]) for pair in pairs} == {
        (96, 64),  # before that program shrank it
        (None, None),
    }
    assert {(pair["width"], pair["height"]) for pair in pairs} == {(72, 48), (None, None)}
    assert [pair["signal"] for pair in pairs] == [row.signal for row in rows]
    for name in OF_BODY:  # that program compressed them anew
        assert {pair[name] for pair in pairs} == {None}


def test_a_caption_may_stand_in_another_column(folders: Folders) -> None:
    columns = Columns(captions=("license",))
    [first, *_] = read_rows(Source(str(folders.path / "files"), columns))

    assert first.caption == b"CC0"


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_is_the_same_anywhere_and_another_with_any_other_byte(
    folders: Folders, tmp_path: Path, name: str
) -> None:
    copy = folders.copy(name, tmp_path)
    before = hash_source(Source(str(copy)))
    (copy / "_tmp").mkdir()
    assert before == hash_source(Source(str(folders.path / name)))

    [changed] = {
        "parquet": list(copy.glob("00001.parquet")),
        "webdataset": list(copy.glob("00000.tar")),
        "files": list(copy.glob("00000/*.jpg"))[:1],
    }[name]
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    assert hash_source(Source(str(copy))) != before


def without(*names: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for name in names:
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return remove


def with_file(name: str, content: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return write


def with_column(name: str, make: Callable[[list[str]], list[str] | None]) -> Callable[[Path], None]:
    """The first shard's table with another column, or without it."""

    def change(folder: Path) -> None:
        path = folder / "00000.parquet"
        table = pq.read_table(path)
        values, place = make(table[name].to_pylist()), table.schema.get_field_index(name)
        table = table.remove_column(place)
        pq.write_table(table if values is None else table.append_column(name, [values]), path)

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        pytest.param(
            "webdataset",
            without("00001_stats.json"),
            "shards 00001 have no _stats.json, which img2dataset writes last",
            id="broken off",
        ),
        pytest.param(
            "files",
            without("00000_stats.json", "00001_stats.json"),
            "shards 00000, 00001 have no",
            id="all broken off",
        ),
        pytest.param(
            "parquet", with_file("00002.parquet", b""), "shards 00002 have no", id="no more"
        ),
        pytest.param(
            "files",
            with_file("00000_stats.json", b'{"count": '),
            "00000_stats.json is no record",
            id="half a record",
        ),
        pytest.param("files", without("00001.parquet"), "00001 have no .parquet", id="no table"),
        pytest.param(
            "webdataset", with_file("00000.tfrecord", b""), "as tfrecord", id="another format"
        ),
        pytest.param(
            "webdataset",
            without("00000.tar"),
            "the pictures of .*00000.parquet are missing: there is no 00000.tar",
            id="no pictures",
        ),
        pytest.param(
            "parquet",
            with_file("00000.parquet", b"PAR1 nonsense"),
            "00000.parquet cannot be read as parquet",
            id="no parquet",
        ),
        pytest.param(
            "files", with_column("status", lambda _: None), "no column 'status'", id="no status"
        ),
        pytest.param(
            "files",
            with_column("key", lambda keys: ["../secret"] * len(keys)),
            "the key '../secret' is none of img2dataset's",
            id="a path for a key",
        ),
        pytest.param(
            "webdataset",
            with_column("key", lambda keys: keys[:1] * len(keys)),
            "is there twice",
            id="one key for all",
        ),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(
    folders: Folders, tmp_path: Path, name: str, change: Callable[[Path], None], message: str
) -> None:
    copy = folders.copy(name, tmp_path)
    change(copy)
    with pytest.raises(ValueError, match=message):
        rows_of(copy)


def test_at_most_five_broken_shards_are_named(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"{number:05}.tar").touch()
    with pytest.raises(ValueError, match="shards 00000, 00001, 00002, 00003, 00004 and 2 more"):
        rows_of(tmp_path)


def test_any_other_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    for use in (rows_of, lambda path: hash_source(Source(str(path)))):
        with pytest.raises(ValueError, match="a folder without any NNNNN.parquet"):
            use(tmp_path)


def test_a_shard_of_failures_alone_needs_no_pictures(folders: Folders, tmp_path: Path) -> None:
    copy = folders.copy("webdataset", tmp_path)
    with_column("status", lambda all: ["failed_to_download"] * len(all))(copy)
    without("00000.tar")(copy)

    assert len(rows_of(copy)) == len(ENDS)


def test_rows_that_img2dataset_lost_are_told_of(
    folders: Folders, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = folders.copy("files", tmp_path)
    with caplog.at_level(logging.WARNING):
        rows_of(copy)
        assert caplog.text == ""

        stats = json.loads((copy / "00000_stats.json").read_text())
        (copy / "00000_stats.json").write_text(json.dumps(stats | {"count": 21}))
        rows_of(copy)
    assert "img2dataset was given 21 rows and wrote 20" in caplog.text
