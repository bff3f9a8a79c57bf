import socket
from dataclasses import replace

import pytest
from aiohttp.abc import ResolveResult

from pipelines.fetching.refused import ContactRequired
from pipelines.web.faultserver import FaultServer
from pipelines.web.settings import FetchSettings

from .asking import Names, fetch, fetch_by_name, fetch_one


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
