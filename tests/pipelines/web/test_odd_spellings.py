"""Spellings of an inside address that some resolver or browser would understand: nobody is asked.

Each row is fetched whole, name lookup included, beside a server that listens at the address meant.
"""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from pipelines.web.addresses import AddressGuard
from pipelines.web.client import fetch_many
from pipelines.web.faultserver import FaultServer, fault_server
from pipelines.web.settings import FetchSettings


@pytest.fixture(scope="module")
def inside() -> Iterator[FaultServer]:
    with fault_server("127.0.0.2") as server:
        yield server
        assert not server.hits


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("127.2", id="short"),
        pytest.param("127.0.2", id="three parts"),
        pytest.param("2130706434", id="decimal"),
        pytest.param("0x7f000002", id="hexadecimal"),
        pytest.param("0X7F000002", id="hexadecimal, upper case"),
        pytest.param("0x7f.0x0.0x0.0x2", id="hexadecimal parts"),
        pytest.param("017700000002", id="octal"),
        pytest.param("0177.0.0.2", id="octal part"),
        pytest.param("0177.0.0.0x2", id="octal and hexadecimal parts"),
        pytest.param("127.0.0.002", id="leading zeros"),
        pytest.param("0", id="zero"),
        pytest.param("0.0.0.0", id="this host"),
        pytest.param("127.0.0.2.", id="dot behind"),
        pytest.param("2130706434.", id="decimal, dot behind"),
        pytest.param("127.0.0.2%00", id="escaped NUL behind"),
        pytest.param("127.0.0.2%00.example.com", id="escaped NUL inside"),
        pytest.param("%31%32%37.0.0.2", id="escaped digits"),
        pytest.param("127%2e0%2e0%2e2", id="escaped dots"),
        pytest.param("１２７.０.０.２", id="full-width digits"),
        pytest.param("127。0。0。2", id="ideographic full stops"),
        pytest.param("127．0．0．2", id="full-width full stops"),
        pytest.param("①②⑦.⓪.⓪.②", id="circled digits"),
        pytest.param("１２７．２", id="full-width and short"),
        pytest.param("²¹³⁰⁷⁰⁶⁴³⁴", id="superscript decimal"),
        pytest.param("127.0.0.2\u00ad", id="soft hyphen behind"),
        pytest.param("127.0.0\u200b.2", id="zero-width blank inside"),
        pytest.param("[::ffff:127.0.0.2]", id="mapped"),
        pytest.param("[::ffff:7f00:2]", id="mapped, hexadecimal"),
        pytest.param("[0:0:0:0:0:ffff:127.0.0.2]", id="mapped, long"),
        pytest.param("[::127.0.0.2]", id="compatible"),
        pytest.param("[64:ff9b::127.0.0.2]", id="NAT64"),
        pytest.param("[::1%25lo]", id="zone"),
        pytest.param("[127.0.0.2]", id="IPv4 in brackets"),
        pytest.param("127.0.0.2\\@example.com", id="backslash"),
        pytest.param("127.0.0.2\t", id="tab"),
    ],
)
def test_asks_nobody(inside: FaultServer, host: str) -> None:
    guard = AddressGuard(("127.0.0.1/32",), (80, inside.port))
    settings = FetchSettings(guard=guard, total_timeout_s=3, dns_timeout_s=2, max_retries=0)

    (fetched,) = asyncio.run(
        fetch_many([f"http://{host}:{inside.port}/ok"], settings, lambda rows: None)
    )

    assert fetched.outcome in ("bad_url", "ssrf_blocked")
    assert not inside.hits


def test_sends_no_syn_to_a_refused_address(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: opened.append(address))
    monkeypatch.setattr(socket.socket, "connect_ex", lambda _, address: opened.append(address) or 0)
    hosts = [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "[::1]",
        "[fd00:ec2::254]",
        "168.63.129.16",
    ]

    fetched = asyncio.run(
        fetch_many([f"http://{host}/" for host in hosts], FetchSettings(), lambda rows: None)
    )

    assert {one.outcome for one in fetched} == {"ssrf_blocked"}
    assert opened == []
