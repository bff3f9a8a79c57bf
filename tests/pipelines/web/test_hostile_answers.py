"""Every fault of the server against the client: the outcome, and the picture beside it unharmed."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest

from pipelines.ledger import FETCH_OUTCOMES
from pipelines.web.addresses import AddressGuard
from pipelines.web.client import Fetched, fetch_many
from pipelines.web.fault_exchange import Exchange
from pipelines.web.faults import PATHS
from pipelines.web.faultserver import FaultServer, fault_server, picture
from pipelines.web.settings import FetchSettings

DEADLINE_S = 1.0
CAP_BYTES = 2**20
KERNEL_BYTES = 12 * 2**20
"""What the two kernels may hold of a body that nobody reads any more (tcp_wmem and tcp_rmem)."""

OUTCOMES = {
    # answers
    "/ok": "ok",
    "/with_headers": "ok",
    "/missing": "http_404",
    "/status": "http_5xx",
    "/busy_for_years": "http_5xx",
    "/busy_for_a_while": "http_429",
    "/flaky": "http_5xx",
    "/redirect": "ok",
    "/loop": "too_many_redirects",
    "/nowhere": "bad_http",
    "/inside": "ssrf_blocked",
    "/to_a_file": "scheme_not_allowed",
    "/opted_out": "optout_header",
    "/opted_out_redirect": "optout_header",
    # bodies; a wrong type or a page is for the decoder to find: the bytes decide, not their label
    "/endless": "body_too_large",
    "/endless_chunks": "body_too_large",
    "/huge": "body_too_large",
    "/huge_and_flowing": "body_too_large",
    "/short": "truncated_body",
    "/short_chunk": "truncated_body",
    "/no_last_chunk": "truncated_body",
    "/reset_in_body": "truncated_body",
    "/surplus": "ok",
    "/empty": "empty_body",
    "/page": "ok",
    "/page_as_png": "ok",
    "/json": "ok",
    "/picture_as_page": "ok",
    "/half_a_picture": "ok",
    # heads
    "/huge_header": "bad_http",
    "/many_headers": "bad_http",
    "/no_colon": "bad_http",
    "/blank_name": "bad_http",
    "/nul_in_header": "bad_http",
    "/bad_status": "bad_http",
    "/bad_version": "bad_http",
    "/no_head": "bad_http",
    "/banner": "bad_http",
    "/hang_up": "connect_failed",
    "/reset": "connect_failed",
    "/two_lengths": "bad_http",
    "/negative_length": "bad_http",
    "/length_no_number": "bad_http",
    "/length_and_chunks": "bad_http",
    "/bad_chunk_size": "bad_http",
    "/huge_chunk_size": "bad_http",
    "/late_bad_chunk": "bad_http",
    # waits
    "/drip": "timeout",
    "/chunk_drip": "timeout",
    "/header_drip": "timeout",
    "/silence": "timeout",
    "/half_a_body": "timeout",
    "/banner_and_silence": "bad_http",
    "/continue_flood": "bad_http",
    # bombs
    "/packed": "encoding_refused",
    "/gzip_bomb": "encoding_refused",
    "/deflate_bomb": "encoding_refused",
    "/nested_gzip": "encoding_refused",
    "/brotli_bomb": "encoding_refused",
    "/zstd_bomb": "encoding_refused",
    "/unknown_encoding": "encoding_refused",
    "/secret_bomb": "ok",
    "/pixel_bomb": "ok",
}


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with fault_server() as server:
        yield server


@pytest.fixture
def settings(server: FaultServer) -> FetchSettings:
    guard = AddressGuard(("127.0.0.1/32",), (80, server.port))
    return FetchSettings(
        guard=guard,
        total_timeout_s=DEADLINE_S,
        retry_wait_s=0.01,
        max_body_bytes=CAP_BYTES,
        max_retries=0,
    )


def fetch(urls: list[str], settings: FetchSettings) -> list[Fetched]:
    fetched = asyncio.run(fetch_many(urls, settings, lambda rows: None))
    assert {one.outcome for one in fetched} <= set(FETCH_OUTCOMES)
    return fetched


def test_knows_the_outcome_of_every_fault() -> None:
    assert OUTCOMES.keys() == PATHS.keys()


@pytest.mark.parametrize("path", OUTCOMES)
def test_ends_with_its_reason_and_leaves_the_others_alone(
    server: FaultServer, settings: FetchSettings, path: str
) -> None:
    started = time.monotonic()

    before, faulty, after = fetch(
        [server.url("/ok"), server.url(path), server.url("/ok")], settings
    )

    assert time.monotonic() - started < DEADLINE_S + 1
    assert faulty.outcome == OUTCOMES[path]
    assert (faulty.body is not None) == (faulty.outcome == "ok")
    assert before.body == after.body == picture()


@pytest.mark.parametrize(
    ("target", "outcome"),
    [
        ("ftp://h.example/a.jpg", "scheme_not_allowed"),
        ("gopher://127.0.0.1:70/_GET", "scheme_not_allowed"),
        ("data:image/png;base64,AAAA", "scheme_not_allowed"),
        ("//169.254.169.254/latest/", "ssrf_blocked"),
        ("http://[::ffff:127.0.0.1]/", "ssrf_blocked"),
        ("http://127.0.0.1:22/", "port_not_allowed"),
        ("http://user:password@h.example/", "userinfo_refused"),
        ("http://0x7f000001/", "bad_url"),
    ],
)
def test_checks_where_a_redirect_leads(
    server: FaultServer, settings: FetchSettings, target: str, outcome: str
) -> None:
    (fetched,) = fetch([server.url(f"/redirect?to={quote(target)}")], settings)

    assert (fetched.outcome, fetched.body) == (outcome, None)


@pytest.mark.parametrize("path", ["/endless", "/endless_chunks", "/huge", "/huge_and_flowing"])
def test_stops_reading_at_the_cap(server: FaultServer, settings: FetchSettings, path: str) -> None:
    fetch([server.url(path)], settings)

    deadline = time.monotonic() + 10
    while server.open_connections and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.open_connections == 0
    assert server.sent_bytes[path] <= server.hits[path] * (CAP_BYTES + KERNEL_BYTES)


@pytest.mark.parametrize("path", ["/short", "/short_chunk", "/no_last_chunk", "/reset_in_body"])
def test_asks_again_for_a_body_that_broke_off_and_never_keeps_it(
    server: FaultServer, settings: FetchSettings, path: str
) -> None:
    before = server.hits[path]

    (fetched,) = fetch([server.url(path)], replace(settings, max_retries=2))

    assert (fetched.outcome, fetched.body) == ("truncated_body", None)
    assert server.hits[path] - before == 3


def test_takes_no_answer_that_comes_in_the_same_breath(
    server: FaultServer, settings: FetchSettings
) -> None:
    one_at_a_time = replace(settings, total_concurrency=1)

    fetched = fetch([server.url("/surplus"), server.url("/ok")] * 5, one_at_a_time)

    assert {one.body for one in fetched} == {picture()}


def test_takes_no_answer_that_it_did_not_ask_for(settings: FetchSettings) -> None:
    async def answers_twice(exchange: Exchange) -> None:
        """a picture, and a while later, on the idle connection, another answer"""
        exchange.picture()
        await exchange.writer.drain()
        await asyncio.sleep(0.1)
        exchange.reply("200 OK", b"smuggled", "Content-Type: image/jpeg")

    with fault_server(routes={"/twice": answers_twice}) as other:
        paced = replace(
            settings,
            guard=AddressGuard(("127.0.0.1/32",), (other.port,)),
            host_concurrency=1,
            host_delay_s=0.4,  # so that the next request waits until the second answer is there
            host_delay_factor=0,
        )
        fetched = fetch([other.url(path, "localhost") for path in ("/twice", "/ok")], paced)

    assert [one.body for one in fetched] == [picture()] * 2
    assert other.hits["/ok"] == 2  # once where the answer lay in wait, and again elsewhere


@pytest.mark.parametrize(("interim", "outcome"), [(5, "ok"), (6, "bad_http")])
def test_hears_a_few_interim_answers(settings: FetchSettings, interim: int, outcome: str) -> None:
    async def continued(exchange: Exchange) -> None:
        """100 Continue a few times, then a picture"""
        exchange.raw(b"HTTP/1.1 100 Continue\r\n\r\n" * interim)
        exchange.picture()

    with fault_server(routes={"/continued": continued}) as other:
        guard = AddressGuard(("127.0.0.1/32",), (other.port,))
        (fetched,) = fetch([other.url("/continued")], replace(settings, guard=guard))

    assert fetched.outcome == outcome


@pytest.mark.parametrize(
    "retry_after",
    [
        pytest.param("0", id="no seconds"),
        pytest.param("Wed, 21 Oct 2015 07:28:00 GMT", id="a date gone by"),
        pytest.param("soon", id="no date"),
        pytest.param("-1", id="below 0"),
        pytest.param("1e3", id="no whole number"),
        pytest.param("9" * 400, id="400 digits"),
        pytest.param("Wed, 99 Oct 2015 99:99:99 GMT", id="no such date"),
        pytest.param("Fri, 31 Dec 99999 23:59:59 GMT", id="a year of five digits"),
    ],
)
@pytest.mark.parametrize(("code", "outcome"), [("429", "http_429"), ("503", "http_5xx")])
def test_survives_any_retry_after(
    server: FaultServer, settings: FetchSettings, code: str, outcome: str, retry_after: str
) -> None:
    url = server.url(f"/status?code={code}&retry_after={retry_after.replace(' ', '%20')}")

    (fetched,) = fetch([url], replace(settings, max_retries=1))

    assert fetched.outcome == outcome


def test_waits_for_no_ten_years(server: FaultServer, settings: FetchSettings) -> None:
    before = server.hits["/busy_for_years"]

    (fetched,) = fetch([server.url("/busy_for_years")], replace(settings, max_retries=2))

    assert (fetched.outcome, fetched.http_status) == ("http_5xx", 503)
    assert server.hits["/busy_for_years"] - before == 1


def test_bears_a_server_that_takes_few_connections(settings: FetchSettings) -> None:
    with fault_server(max_connections=2) as narrow:
        guard = AddressGuard(("127.0.0.1/32",), (narrow.port,))
        fetched = fetch([narrow.url("/ok")] * 12, replace(settings, guard=guard))

    assert {one.outcome for one in fetched} <= {"ok", "connect_failed", "robots_unreachable"}
    assert narrow.most_connections > 2
