import asyncio
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from pipelines.ledger import FETCH_OUTCOMES
from pipelines.refused import ContactRequired
from pipelines.web.addresses import AddressGuard
from pipelines.web.client import Client, Fetched, fetch_each, fetch_many
from pipelines.web.faultserver import FaultServer, fault_server, picture
from pipelines.web.settings import FetchSettings

DEADLINE_S = 0.6


@pytest.fixture(scope="module")
def allowed() -> Iterator[FaultServer]:
    with fault_server("127.0.0.1") as server:
        yield server


@pytest.fixture(scope="module")
def forbidden() -> Iterator[FaultServer]:
    """Up and willing, on an address that the guard does not allow. Nobody must ever get there."""
    with fault_server("127.0.0.2") as server:
        yield server
        assert not server.hits


@pytest.fixture
def settings(allowed: FaultServer, forbidden: FaultServer) -> FetchSettings:
    guard = AddressGuard(("127.0.0.1/32",), (80, allowed.port, forbidden.port))
    return FetchSettings(
        guard=guard, total_timeout_s=DEADLINE_S, retry_wait_s=0.01, max_body_bytes=2**20
    )


def fetch(urls: list[str | None], settings: FetchSettings) -> list[Fetched]:
    fetched = asyncio.run(fetch_many(urls, settings, lambda rows: None))
    assert {one.outcome for one in fetched} <= set(FETCH_OUTCOMES)
    return fetched


def fetch_one(url: str, settings: FetchSettings) -> Fetched:
    return fetch([url], settings)[0]


def test_brings_the_bytes(allowed: FaultServer, settings: FetchSettings) -> None:
    url = allowed.url("/ok")

    assert fetch_one(url, settings) == Fetched("ok", picture(), url, 200, "image/jpeg")


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


def test_holds_no_place_between_two_requests(allowed: FaultServer, settings: FetchSettings) -> None:
    alone = replace(settings, total_concurrency=1, max_retries=1, total_timeout_s=5)
    ended: list[str] = []

    async def receive(_index: int, fetched: Fetched) -> None:
        ended.append(fetched.outcome)

    urls = [allowed.url("/status?code=503&retry_after=1"), allowed.url("/redirect?to=/ok")]
    asyncio.run(asyncio.wait_for(fetch_each(urls, alone, receive), 10))

    assert ended == ["ok", "http_5xx"]


def test_tells_a_page_from_nothing_but_not_from_a_picture(
    allowed: FaultServer, settings: FetchSettings
) -> None:
    fetched = fetch_one(allowed.url("/page"), settings)

    assert fetched.outcome == "ok"
    assert fetched.body is not None
    assert fetched.body.startswith(b"<!DOCTYPE html>")


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


@pytest.mark.parametrize(
    "where",
    [
        pytest.param("http://127.0.0.2:{port}/ok", id="literal"),
        pytest.param("http://127.0.0.1:{allowed}/redirect?to=http://127.0.0.2:{port}/ok", id="hop"),
        pytest.param("http://127.0.0.1:{allowed}/redirect?to=//127.0.0.2:{port}/ok", id="//hop"),
        pytest.param("http://[::ffff:127.0.0.2]:{port}/ok", id="mapped"),
    ],
)
def test_never_dials_a_forbidden_address(
    allowed: FaultServer, forbidden: FaultServer, settings: FetchSettings, where: str
) -> None:
    url = where.format(allowed=allowed.port, port=forbidden.port)

    assert fetch_one(url, settings).outcome == "ssrf_blocked"
    assert not forbidden.hits


@pytest.mark.parametrize("host", ["127.2", "2130706434", "0x7f000002", "017700000002"])
def test_never_dials_an_odd_spelling(
    forbidden: FaultServer, settings: FetchSettings, host: str
) -> None:
    assert fetch_one(f"http://{host}:{forbidden.port}/ok", settings).outcome == "bad_url"
    assert not forbidden.hits


class Names(AbstractResolver):
    """A resolver whose successive answers for any name are given."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in answer
        ]

    async def close(self) -> None:
        pass


def fetch_by_name(url: str, settings: FetchSettings, names: Names) -> Fetched:
    async def run() -> Fetched:
        async with Client(settings, names) as client, client.fetching(url) as fetched:
            return fetched

    return asyncio.run(run())


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(("127.0.0.2",), id="one private address"),
        pytest.param(("127.0.0.2", "127.0.0.3"), id="two private addresses"),
        pytest.param(("127.0.0.2", "::1", "10.0.0.1"), id="private in both families"),
    ],
)
def test_blocks_a_name_that_leads_inside(
    forbidden: FaultServer, settings: FetchSettings, answer: tuple[str, ...]
) -> None:
    url = f"http://inside.example:{forbidden.port}/ok"

    assert fetch_by_name(url, settings, Names(answer)).outcome == "ssrf_blocked"


def test_passes_by_the_private_address_of_a_mixed_answer(
    allowed: FaultServer, settings: FetchSettings
) -> None:
    names = Names(("127.0.0.2", "127.0.0.1"))

    url = f"http://mixed.example:{allowed.port}/ok"

    assert fetch_by_name(url, settings, names).outcome == "ok"


def test_checks_the_address_that_it_dials_when_a_name_changes_its_answer(
    allowed: FaultServer, forbidden: FaultServer, settings: FetchSettings
) -> None:
    names = Names(("127.0.0.1",), ("127.0.0.2",))
    inside = f"http://rebind.example:{forbidden.port}/ok"

    url = f"http://rebind.example:{allowed.port}/redirect?to={inside}"

    assert fetch_by_name(url, settings, names).outcome == "ssrf_blocked"


def test_asks_the_system_for_a_name(allowed: FaultServer, settings: FetchSettings) -> None:
    assert fetch_one(f"http://localhost:{allowed.port}/ok", settings).outcome == "ok"


def test_ends_a_name_without_an_address(settings: FetchSettings, allowed: FaultServer) -> None:
    class Nobody(Names):
        async def resolve(self, *_: object, **__: object) -> list[ResolveResult]:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")

    url = f"http://nobody.example:{allowed.port}/"

    assert fetch_by_name(url, settings, Nobody()).outcome == "dns_failure"


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


def test_ignores_a_proxy_of_the_environment(
    allowed: FaultServer,
    forbidden: FaultServer,
    settings: FetchSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, forbidden.url("/"))

    assert fetch_one(allowed.url("/ok"), settings).outcome == "ok"
    assert not forbidden.hits


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


def test_needs_a_contact_before_it_dials_outside(settings: FetchSettings) -> None:
    names = Names(("192.0.0.1", "8.8.8.8", "1.1.1.1"))
    with pytest.raises(ContactRequired, match="--contact is missing"):
        fetch_by_name("http://outside.example/", settings, names)


def test_needs_a_contact_whatever_else_is_under_way(
    allowed: FaultServer, settings: FetchSettings
) -> None:
    urls: list[str | None] = [allowed.url("/drip"), "http://8.8.8.8/", allowed.url("/ok")]

    with pytest.raises(ContactRequired):
        fetch(urls, replace(settings, total_timeout_s=60))


def test_refuses_an_inside_address_without_asking_for_a_contact(settings: FetchSettings) -> None:
    assert fetch_one("http://10.0.0.1/", settings).outcome == "ssrf_blocked"


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


def test_asks_one_host_a_few_at_a_time(allowed: FaultServer, settings: FetchSettings) -> None:
    polite = replace(settings, host_concurrency=2, total_timeout_s=5)
    url = f"http://slow.example:{allowed.port}/status?code=404"
    most = 0

    class Counting(Client):
        under_way = 0

        async def _ask(self, *arguments):
            nonlocal most
            self.under_way += 1
            most = max(most, self.under_way)
            answer = await super()._ask(*arguments)
            self.under_way -= 1
            return answer

    async def run() -> None:
        async def one() -> None:
            async with client.fetching(url):
                pass

        async with Counting(polite, Names(("127.0.0.1",))) as client:
            await asyncio.gather(*(one() for _ in range(12)))

    asyncio.run(run())

    assert most == 2


def test_gives_up_on_a_host_that_has_died(settings: FetchSettings, allowed: FaultServer) -> None:
    wary = replace(settings, max_host_failures=3, host_concurrency=1, max_retries=0)
    urls = [f"http://127.0.0.1:{allowed.port}/hang_up"] * 2
    name = f"http://dead.example:{allowed.port}/hang_up"

    async def run() -> list[str]:
        outcomes = []
        async with Client(wary, Names(("127.0.0.1",))) as client:
            for url in [name, name, name, name, *urls]:
                async with client.fetching(url) as fetched:
                    outcomes.append(fetched.outcome)
        return outcomes

    assert asyncio.run(run()) == [
        *["connect_failed"] * 3,
        "host_circuit_open",
        *["connect_failed"] * 2,
    ]


def test_one_slow_host_does_not_hold_up_the_others(
    allowed: FaultServer, settings: FetchSettings
) -> None:
    narrow = replace(settings, total_concurrency=4, host_concurrency=1, total_timeout_s=5)
    slow = f"http://slow.example:{allowed.port}/drip"
    quick = f"http://quick.example:{allowed.port}/ok"

    async def run() -> float:
        async def one(url: str) -> None:
            async with client.fetching(url):
                pass

        async with Client(narrow, Names(("127.0.0.1",))) as client:
            hanging = [asyncio.create_task(one(slow)) for _ in range(20)]
            started = time.monotonic()
            await asyncio.gather(*(one(quick) for _ in range(20)))
            seconds = time.monotonic() - started
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)
        return seconds

    assert asyncio.run(run()) < 2


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
