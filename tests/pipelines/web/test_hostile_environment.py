"""What the machine's environment and an earlier answer would add to a request: nothing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.web.addresses import AddressGuard
from pipelines.web.client import Client, fetch_many
from pipelines.web.fault_exchange import Exchange
from pipelines.web.faultserver import FaultServer, fault_server
from pipelines.web.settings import FetchSettings


async def sets_a_cookie(exchange: Exchange) -> None:
    """a picture, and a cookie to be returned"""
    exchange.picture("Set-Cookie: crawler=known; Path=/", "Set-Cookie: second=1")


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with fault_server(routes={"/cookie": sets_a_cookie}) as server:
        yield server


@pytest.fixture
def settings(server: FaultServer) -> FetchSettings:
    guard = AddressGuard(("127.0.0.1/32",), (80, 443, server.port))
    return FetchSettings(
        guard=guard, total_timeout_s=2, retry_wait_s=0.01, max_retries=0, host_delay_s=0
    )


def outcome(url: str, settings: FetchSettings) -> str:
    return asyncio.run(fetch_many([url], settings, lambda rows: None))[0].outcome


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("spell", [str.upper, str.lower])
def test_uses_no_proxy_of_the_environment(
    server: FaultServer,
    settings: FetchSettings,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    spell: type[str],
) -> None:
    for other in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(other, raising=False)
    with fault_server() as proxy:  # where the guard lets everybody go
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", name):
            monkeypatch.setenv(spell(variable), proxy.url(""))
        guard = AddressGuard(("127.0.0.1/32",), (server.port, proxy.port))
        open_settings = FetchSettings(guard=guard, total_timeout_s=2, max_retries=0)

        assert outcome(server.url("/ok"), open_settings) == "ok"
        assert outcome(server.url("/ok").replace("http:", "https:"), open_settings) == "tls_error"
        assert proxy.most_connections == 0


def test_uses_no_password_of_the_environment(
    server: FaultServer, settings: FetchSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login alice password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))

    assert outcome(server.url("/ok"), settings) == "ok"
    assert "authorization" not in server.headers[-1].lower()


def test_returns_no_cookie(server: FaultServer, settings: FetchSettings) -> None:
    by_name = [server.url(path, "localhost") for path in ("/cookie", "/ok", "/ok")]

    async def one_after_another() -> None:
        async with Client(settings) as client:
            for url in by_name:
                async with client.fetching(url) as fetched:
                    assert fetched.outcome == "ok"

    asyncio.run(one_after_another())

    assert server.hits["/cookie"] == 1
    assert not [head for head in server.headers if "cookie:" in head.lower()]


def test_follows_a_redirect_without_a_cookie_and_a_referer(
    server: FaultServer, settings: FetchSettings
) -> None:
    assert outcome(server.url("/redirect?to=/ok", "localhost"), settings) == "ok"

    assert "referer:" not in server.headers[-1].lower()
    assert "cookie:" not in server.headers[-1].lower()
