"""What a process makes once: connections that are kept, one TLS context, one lookup of a name."""

import asyncio
import ssl
import time
from collections.abc import Iterator

import aiohttp.connector
import pytest
import trustme

from pipelines.web.addresses import AddressGuard
from pipelines.web.client import Client, Fetched
from pipelines.web.fault_answers import ok
from pipelines.web.fault_exchange import Exchange
from pipelines.web.faultserver import FaultServer, fault_server
from pipelines.web.settings import FetchSettings

from .asking import Names, fetch_all


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(authority: trustme.CA) -> Iterator[FaultServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with fault_server(tls=context) as server:
        yield server


def fetch_in_turn(server: FaultServer, path: str, times: int) -> list[Fetched]:
    guard = AddressGuard(("127.0.0.1/32",), (server.port,))

    async def run() -> list[Fetched]:
        fetched = []
        async with Client(FetchSettings(guard=guard)) as client:
            for _ in range(times):
                async with client.fetching(server.url(path)) as one:
                    fetched.append(one)
        return fetched

    return asyncio.run(run())


def test_keeps_a_connection_for_the_next_request() -> None:
    ports: list[int] = []

    async def noting(exchange: Exchange) -> None:
        ports.append(exchange.writer.get_extra_info("peername")[1])
        await ok(exchange)

    with fault_server(routes={"/a": noting, "/robots.txt": noting}) as server:
        fetched = fetch_in_turn(server, "/a", 5)

    assert [one.outcome for one in fetched] == ["ok"] * 5
    assert len(ports) == 6
    assert len(set(ports)) == 1


def test_makes_no_tls_context_for_a_request(
    authority: trustme.CA, secure: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting = aiohttp.connector._make_ssl_context(True)
    authority.configure_trust(trusting)
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trusting)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a context for one request")

    monkeypatch.setattr(aiohttp.connector, "_make_ssl_context", refuse)
    monkeypatch.setattr(ssl, "create_default_context", refuse)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", refuse)

    fetched = fetch_in_turn(secure, "/ok", 3)

    assert [one.outcome for one in fetched] == ["ok"] * 3
    assert secure.most_connections == 1


async def _say_404_at_length(exchange: Exchange) -> None:
    exchange.head("404 Not Found", "Content-Length: 20000")
    await asyncio.sleep(0.02)
    exchange.raw(b"x" * 20000)
    exchange.keeps_alive = True


def test_closes_the_connection_with_a_hosts_last_row() -> None:
    """The robots.txt, a 404 with a page, and two pictures come over one connection."""
    ports: list[int] = []

    async def noting(exchange: Exchange) -> None:
        ports.append(exchange.writer.get_extra_info("peername")[1])
        if exchange.path == "/robots.txt":
            await _say_404_at_length(exchange)
        else:
            await ok(exchange)

    with fault_server(routes={"/a": noting, "/robots.txt": noting}) as server:
        guard = AddressGuard(("127.0.0.1/32",), (server.port,))
        settings = FetchSettings(guard=guard, host_delay_s=0.1, host_delay_factor=0)

        async def run() -> list[Fetched]:
            async with Client(settings, Names(("127.0.0.1",))) as client:
                return await fetch_all(client, [server.url("/a", "name.example")] * 2)

        fetched = asyncio.run(run())
        heads = [head.lower() for head in server.headers]

    assert [one.outcome for one in fetched] == ["ok"] * 2
    assert len(set(ports)) == 1
    assert ["connection: close" in head for head in heads] == [False, False, True]


def test_does_not_wait_for_the_rest_of_a_malformed_body() -> None:
    async def malformed(exchange: Exchange) -> None:
        exchange.head("200 OK", "Transfer-Encoding: chunked")
        await asyncio.sleep(0.05)
        exchange.raw(b"zz\r\nno chunk\r\n0\r\n\r\n")
        await exchange.writer.drain()
        await asyncio.sleep(3)

    with fault_server(routes={"/a": malformed}) as server:
        started = time.monotonic()
        (fetched,) = fetch_in_turn(server, "/a", 1)

    assert fetched.outcome == "bad_http"
    assert time.monotonic() - started < 2
