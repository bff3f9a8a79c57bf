import asyncio
import socket
import time
from dataclasses import replace
from urllib.parse import quote

import pytest

from pipelines.web.client import Fetched, fetch_each
from pipelines.web.faultserver import FaultServer, picture
from pipelines.web.settings import FetchSettings

from .asking import DEADLINE_S, fetch_one


@pytest.mark.parametrize("path", ["/drip", "/header_drip", "/silence"])
def test_cuts_off_at_the_deadline(allowed: FaultServer, settings: FetchSettings, path: str) -> None:
    started = time.monotonic()

    assert fetch_one(allowed.url(path), settings).outcome == "timeout"
    assert DEADLINE_S <= time.monotonic() - started < DEADLINE_S + 1


def test_shares_one_deadline_among_redirects(allowed: FaultServer, settings: FetchSettings) -> None:
    second = quote("/redirect?after_s=0.4&to=/ok")
    url = allowed.url(f"/redirect?after_s=0.4&to={second}")

    assert fetch_one(url, settings).outcome == "timeout"
    assert fetch_one(url, replace(settings, total_timeout_s=5)).outcome == "ok"


def test_takes_no_answer_for_no_tls(allowed: FaultServer, settings: FetchSettings) -> None:
    url = allowed.url("/ok").replace("http:", "https:")

    assert fetch_one(url, settings).outcome == "tls_error"


def test_ends_a_closed_port_as_failed(settings: FetchSettings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    guard = replace(settings.guard, allow_ports=(port,))

    fetched = fetch_one(f"http://127.0.0.1:{port}/", replace(settings, guard=guard))

    assert fetched.outcome == "connect_failed"


def test_gives_up_on_a_port_that_swallows_connections(settings: FetchSettings) -> None:
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        port = hole.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):  # the backlog is full
            guard = replace(settings.guard, allow_ports=(port,))
            quick = replace(settings, guard=guard, connect_timeout_s=0.2)
            started = time.monotonic()

            assert fetch_one(f"http://127.0.0.1:{port}/", quick).outcome == "timeout"
            assert time.monotonic() - started < DEADLINE_S + 1


def test_reads_no_more_than_the_limit(allowed: FaultServer, settings: FetchSettings) -> None:
    size = len(picture())

    just = replace(settings, max_body_bytes=size)
    below = replace(settings, max_body_bytes=size - 1)

    assert fetch_one(allowed.url("/ok"), just).outcome == "ok"
    assert fetch_one(allowed.url("/ok"), below).outcome == "body_too_large"


def test_follows_as_many_redirects_as_the_limit_says(
    allowed: FaultServer, settings: FetchSettings
) -> None:
    before = allowed.hits["/loop"]

    assert fetch_one(allowed.url("/loop"), settings).outcome == "too_many_redirects"
    assert allowed.hits["/loop"] - before == settings.max_redirects + 1


def test_holds_no_place_between_two_requests(allowed: FaultServer, settings: FetchSettings) -> None:
    alone = replace(settings, total_concurrency=1, max_retries=1, total_timeout_s=5)
    ended: list[str] = []

    async def receive(_index: int, fetched: Fetched) -> None:
        ended.append(fetched.outcome)

    urls = [allowed.url("/status?code=503&retry_after=1"), allowed.url("/redirect?to=/ok")]
    asyncio.run(asyncio.wait_for(fetch_each(urls, alone, receive), 10))

    assert ended == ["ok", "http_5xx"]


def test_holds_no_more_bodies_than_there_are_places(
    allowed: FaultServer, settings: FetchSettings
) -> None:
    narrow = replace(settings, total_concurrency=3, total_timeout_s=5)
    held, most = 0, 0

    async def receive(_index: int, fetched: Fetched) -> None:
        nonlocal held, most
        held += 1
        most = max(most, held)
        await asyncio.sleep(0.01)
        held -= 1

    asyncio.run(fetch_each([allowed.url("/ok")] * 30, narrow, receive))

    assert most == 3
