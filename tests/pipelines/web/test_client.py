import asyncio
import time
from dataclasses import replace

import pytest

from pipelines.web.client import Fetched, fetch_many
from pipelines.web.faultserver import FaultServer, picture
from pipelines.web.settings import FetchSettings

from .asking import fetch_one


def test_brings_the_bytes(allowed: FaultServer, settings: FetchSettings) -> None:
    url = allowed.url("/ok")

    assert fetch_one(url, settings) == Fetched(
        "ok", picture(), url, 200, "image/jpeg", robots="none"
    )


@pytest.mark.parametrize(
    ("path", "outcome", "status"),
    [
        ("/missing", "http_404", 404),
        ("/status?code=403", "http_4xx", 403),
        ("/status?code=410", "http_410", 410),
        ("/status?code=429", "http_429", 429),
        ("/status?code=500", "http_5xx", 500),
        ("/status?code=304", "bad_http", 304),
        ("/empty", "empty_body", 200),
        ("/status?code=204", "empty_body", 204),
        ("/huge", "body_too_large", 200),
        ("/endless", "body_too_large", 200),
        ("/short", "truncated_body", 200),
        ("/packed", "encoding_refused", 200),
        ("/banner", "bad_http", None),
        ("/hang_up", "connect_failed", None),
        ("/loop", "too_many_redirects", 302),
        ("/nowhere", "bad_http", 302),
        ("/redirect?to=file:///etc/hostname", "scheme_not_allowed", 302),
        ("/redirect?to=data:,x", "scheme_not_allowed", 302),
        ("/redirect?to=http://169.254.169.254/", "ssrf_blocked", 302),
        ("/redirect?to=http://127.0.0.1:22/", "port_not_allowed", 302),
        ("/opted_out", "optout_header", 200),
        ("/opted_out?tag=otherbot:%20noai", "ok", 200),
        ("/opted_out_redirect", "optout_header", 302),
        ("/redirect?to=/ok", "ok", 200),
        ("/flaky", "ok", 200),
    ],
)
def test_ends_with(
    allowed: FaultServer, settings: FetchSettings, path: str, outcome: str, status: int | None
) -> None:
    fetched = fetch_one(allowed.url(path), settings)

    assert (fetched.outcome, fetched.http_status) == (outcome, status)
    assert (fetched.body is not None) == (outcome == "ok")


def test_says_where_a_refused_redirect_led(allowed: FaultServer, settings: FetchSettings) -> None:
    url = allowed.url("/redirect?to=http://169.254.169.254/latest")

    fetched = fetch_one(url, settings)

    assert (fetched.outcome, fetched.url_final) == ("ssrf_blocked", url)
    assert fetched.signal == "redirect to http://169.254.169.254/latest"


def test_tells_a_page_from_nothing_but_not_from_a_picture(
    allowed: FaultServer, settings: FetchSettings
) -> None:
    fetched = fetch_one(allowed.url("/page"), settings)

    assert fetched.outcome == "ok"
    assert fetched.body is not None
    assert fetched.body.startswith(b"<!DOCTYPE html>")


def test_says_who_it_is_and_nothing_else(allowed: FaultServer, settings: FetchSettings) -> None:
    known = replace(settings, contact="https://example.org/crawl")

    fetch_one(allowed.url("/redirect?to=/ok"), known)

    names = {line.partition(":")[0] for line in allowed.headers[-1].splitlines()[1:] if line}
    assert names == {"Host", "User-Agent", "Accept", "Accept-Encoding"}
    assert "(+https://example.org/crawl)" in allowed.headers[-1]
    assert "Accept-Encoding: identity\r\n" in allowed.headers[-1]


def test_asks_for_a_url_letter_by_letter(allowed: FaultServer, settings: FetchSettings) -> None:
    fetch_one(allowed.url("/ok?signature=%2c%7E~"), settings)

    assert allowed.headers[-1].startswith("GET /ok?signature=%2c%7E~ HTTP/1.1")


@pytest.mark.parametrize(
    ("path", "requests"),
    [
        pytest.param("/missing", 1, id="what is gone is not asked for again"),
        pytest.param("/opted_out", 1, id="a refusal is not asked for again"),
        pytest.param("/packed", 1, id="a compressed body is not asked for again"),
        pytest.param("/status?code=500", 3, id="a server's error twice again"),
        pytest.param("/status?code=429&retry_after=0", 3, id="too many requests twice again"),
        pytest.param("/status?code=429&retry_after=3600", 1, id="a long wait is not waited for"),
        pytest.param("/short", 3, id="half a body twice again"),
    ],
)
def test_tries_again(
    allowed: FaultServer, settings: FetchSettings, path: str, requests: int
) -> None:
    route = path.partition("?")[0]
    before = allowed.hits[route]

    fetch_one(allowed.url(path), settings)

    assert allowed.hits[route] - before == requests


def test_waits_as_long_as_it_is_told(allowed: FaultServer, settings: FetchSettings) -> None:
    once = replace(settings, max_retries=1)
    started = time.monotonic()

    fetch_one(allowed.url("/status?code=503&retry_after=1"), once)

    assert time.monotonic() - started >= 1


def test_keeps_the_order_and_counts_every_url(
    allowed: FaultServer, settings: FetchSettings
) -> None:
    urls = [None, allowed.url("/ok"), "", allowed.url("/missing"), "ftp://x/", allowed.url("/drip")]
    counted: list[int] = []

    fetched = asyncio.run(fetch_many(urls, settings, counted.append))

    assert [one.outcome for one in fetched] == [
        "bad_url",
        "ok",
        "bad_url",
        "http_404",
        "scheme_not_allowed",
        "timeout",
    ]
    assert counted == [1] * 6
