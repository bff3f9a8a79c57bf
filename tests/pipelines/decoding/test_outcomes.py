"""Every outcome in the ledger's list is one that a row can end with, fetched whole.

A list that named what cannot happen would promise a table more than the build keeps.
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.decoding import decoders
from pipelines.decoding.picture import StoredImage
from pipelines.fetch import fetch_rows
from pipelines.fetching.session import FetchSession
from pipelines.inputs.face_boxes import UNREADABLE
from pipelines.inputs.source import Row
from pipelines.ledger import FETCH_OUTCOMES
from pipelines.purging.tombstones import Tombstones, mark_host, write_tombstones
from pipelines.sources import make_rows_table
from pipelines.web import bodies
from pipelines.web.addresses import AddressGuard
from pipelines.web.fault_exchange import Exchange
from pipelines.web.faultserver import FaultServer, fault_server, picture
from pipelines.web.settings import FetchSettings

HOSTILE_DECODER = Path(__file__).with_name("hostile_decoder.py")
BLOCKED = b"\xff\xd8\xff the bytes of a picture that nobody may keep"


def tiff() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(file, "TIFF")
    return file.getvalue()


async def robots(exchange: Exchange) -> None:
    """a robots.txt that keeps one folder"""
    exchange.reply("200 OK", b"User-agent: *\nDisallow: /private/\n")


async def broken_robots(exchange: Exchange) -> None:
    """a robots.txt that cannot be had"""
    exchange.reply("500 Oops", b"")


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    pages = {
        "/tiff": tiff(),
        "/blocked": BLOCKED,
        "/hang": b"hang",
        "/segfault": b"segfault",
        "/balloon": b"balloon",
    }
    with fault_server(pages=pages, routes={"/robots.txt": robots}) as server:
        yield server


@pytest.fixture(scope="module")
def unruly() -> Iterator[FaultServer]:
    with fault_server(routes={"/robots.txt": broken_robots}) as server:
        yield server


@pytest.fixture
def settings(server: FaultServer, unruly: FaultServer, tmp_path: Path) -> FetchSettings:
    optout, block = tmp_path / "optout.txt", tmp_path / "block.txt"
    optout.write_text(f"{server.url('/left_alone')}\n")
    block.write_text(f"{hashlib.sha256(BLOCKED).hexdigest()}\n")
    write_tombstones(str(tmp_path), Tombstones({mark_host("down.example"): None}))
    return FetchSettings(
        contact="crawler@pairmill.example",
        guard=AddressGuard(("127.0.0.1/32",), (80, server.port, unruly.port)),
        total_timeout_s=0.6,
        max_retries=0,
        max_body_bytes=2**20,
        host_delay_s=0,
        host_delay_factor=0,
        decode_memory_bytes=2**30,
        optout_lists=(str(optout),),
        blocklists=(str(block),),
        tombstones=str(tmp_path),
    )


def fetch(
    rows: list[Row], settings: FetchSettings, image: StoredImage = StoredImage()
) -> list[str]:
    """The outcome of each row."""
    table = make_rows_table(rows, 0, 0)
    with FetchSession(settings, image, "pairmill") as session:
        return fetch_rows(table, session, lambda rows: None)["outcome"].to_pylist()


def wanted(url: str, caption: str | bytes = "a caption", digest: str | None = None) -> Row:
    return Row(url, caption, None, digest)


MADE_TOGETHER = {
    "ok": "/ok",
    "timeout": "/silence",
    "connect_failed": "/hang_up",
    "too_many_redirects": "/loop",
    "http_4xx": "/status?code=403",
    "http_404": "/missing",
    "http_410": "/status?code=410",
    "http_429": "/status?code=429",
    "http_5xx": "/status?code=500",
    "bad_http": "/banner",
    "truncated_body": "/short",
    "body_too_large": "/huge",
    "encoding_refused": "/packed",
    "empty_body": "/empty",
    "robots_disallow": "/private/a.jpg",
    "optout_header": "/opted_out",
    "optout_list": "/left_alone",
    "not_an_image": "/page",
    "format_refused": "/tiff",
    "decode_error": "/half_a_picture",
    "too_many_pixels": "/pixel_bomb",
    "blocklist_hit": "/blocked",
}
"""By the path that ends so."""
MADE_ALONE = {
    "bad_url": wanted(""),
    "scheme_not_allowed": wanted("file:///etc/hostname"),
    "port_not_allowed": wanted("http://127.0.0.1:22/"),
    "userinfo_refused": wanted("http://user:password@h.example/"),
    "caption_empty": wanted("http://h.example/", " "),
    "caption_invalid_utf8": wanted("http://h.example/", b"caf\xe9"),
    "video": Row("http://h.example/", "", outcome="video"),
    "ssrf_blocked": wanted("http://10.0.0.1/"),
    "dns_failure": wanted("http://nobody.invalid/"),
    "too_small": Row("http://h.example/", "a caption", outcome="too_small"),
    "tombstoned": wanted("http://taken.down.example/a.jpg"),
}
"""By a row that needs no server; of `too_small` an earlier run with img2dataset tells."""
MADE_ELSEWHERE = {
    "tls_error": "test_a_server_without_tls",
    "hash_mismatch": "test_bytes_that_were_not_promised",
    "robots_unreachable": "test_a_host_whose_robots_file_cannot_be_had",
    "host_circuit_open": "test_a_host_that_has_died",
    "host_deferred": "test_a_host_that_is_too_slow",
    "decode_timeout": "test_pictures_that_hurt_the_decoder",
    "decode_crash": "test_pictures_that_hurt_the_decoder",
    "decode_oom": "test_pictures_that_hurt_the_decoder",
    "internal_error": "test_our_own_fault",
    "face_boxes_invalid": "test_faces_that_nobody_can_find",
}
"""By the test below that makes it."""


def test_every_outcome_is_made_once() -> None:
    made = [*MADE_TOGETHER, *MADE_ALONE, *MADE_ELSEWHERE]

    assert sorted(made) == sorted(FETCH_OUTCOMES)
    assert set(MADE_ELSEWHERE.values()) <= set(globals())


def test_each_row_of_one_unit_ends_with_its_own(
    server: FaultServer, settings: FetchSettings
) -> None:
    rows = [wanted(server.url(path)) for path in MADE_TOGETHER.values()]
    among_them = wanted(server.url("/ok"))
    rows += [*MADE_ALONE.values(), among_them, among_them]

    assert fetch(rows, settings) == [*MADE_TOGETHER, *MADE_ALONE, "ok", "ok"]


def test_decides_by_the_bytes_and_not_by_their_label(
    server: FaultServer, settings: FetchSettings
) -> None:
    ends = {
        "/picture_as_page": "ok",
        "/page_as_png": "not_an_image",
        "/page": "not_an_image",
        "/json": "not_an_image",
        "/secret_bomb": "not_an_image",
        "/empty": "empty_body",
        "/status?code=204": "empty_body",
    }

    assert fetch([wanted(server.url(path)) for path in ends], settings) == [*ends.values()]


def test_a_server_without_tls(unruly: FaultServer, settings: FetchSettings) -> None:
    url = unruly.url("/ok").replace("http:", "https:")

    assert fetch([wanted(url)], settings) == ["tls_error"]


def test_bytes_that_were_not_promised(server: FaultServer, settings: FetchSettings) -> None:
    right = hashlib.sha256(picture()).hexdigest()
    digests = [f"sha256:{right}", f"sha256:{right[::-1]}", "md5:0"]

    outcomes = fetch([wanted(server.url("/ok"), "a", digest) for digest in digests], settings)

    assert outcomes == ["ok", "hash_mismatch", "hash_mismatch"]


def test_a_host_whose_robots_file_cannot_be_had(
    unruly: FaultServer, settings: FetchSettings
) -> None:
    assert fetch([wanted(unruly.url("/ok"))] * 2, settings) == ["robots_unreachable"] * 2
    assert unruly.hits["/ok"] == 0


def test_a_host_that_has_died(server: FaultServer, settings: FetchSettings) -> None:
    wary = replace(settings, max_host_failures=2, host_concurrency=1)

    outcomes = fetch([wanted(server.url("/hang_up", "localhost"))] * 5, wary)

    assert sorted(outcomes) == [*["connect_failed"] * 2, *["host_circuit_open"] * 3]


def test_a_host_that_is_too_slow(server: FaultServer, settings: FetchSettings) -> None:
    hurried = replace(settings, host_delay_s=5, host_budget_s=1)

    outcomes = fetch([wanted(server.url("/ok", "localhost"))] * 4, hurried)

    assert set(outcomes) >= {"host_deferred"}


def test_pictures_that_hurt_the_decoder(
    server: FaultServer, settings: FetchSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = (
        f"import runpy, sys; sys.path[:] = sys.argv[2:]; runpy.run_path({str(HOSTILE_DECODER)!r})"
    )
    monkeypatch.setattr(decoders, "START", start)
    hasty = replace(settings, decode_timeout_s=4, total_timeout_s=20)
    paths = ("/hang", "/ok", "/segfault", "/ok", "/balloon", "/ok")

    outcomes = fetch([wanted(server.url(path)) for path in paths], hasty)

    assert outcomes == ["decode_timeout", "ok", "decode_crash", "ok", "decode_oom", "ok"]


def test_faces_that_nobody_can_find(server: FaultServer, settings: FetchSettings) -> None:
    row = wanted(server.url("/ok"))._replace(face_boxes=UNREADABLE)

    assert fetch([row], settings) == ["ok"]
    assert fetch([row], settings, StoredImage(blur_faces=True)) == ["face_boxes_invalid"]


def test_our_own_fault(
    server: FaultServer, settings: FetchSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(status: int) -> None:
        if status == 410:
            raise ZeroDivisionError

    monkeypatch.setattr(bodies, "refuse_status", fail)

    outcomes = fetch([wanted(server.url(path)) for path in ("/status?code=410", "/ok")], settings)

    assert outcomes == ["internal_error", "ok"]
