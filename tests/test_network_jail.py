import asyncio
import socket
import threading
import urllib.request
from collections.abc import Callable

import aiodns
import pytest

from pipelines.web.faultserver import fault_server
from tests.network_jail import LeftTheMachineError, NetworkJail

OUTSIDE = "192.0.2.1"  # documentation (RFC 5737): nobody has it


def tcp() -> socket.socket:
    wire = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    wire.settimeout(0.2)  # were the jail open
    return wire


def by_connect() -> None:
    with tcp() as wire:
        wire.connect((OUTSIDE, 80))


def by_connect_ex() -> None:
    with tcp() as wire:
        wire.connect_ex((OUTSIDE, 80))


def by_v6() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as wire:
        wire.settimeout(0.2)
        wire.connect(("2001:db8::1", 80, 0, 0))


def by_name() -> None:
    socket.create_connection(("pairmill.example", 80), timeout=0.2)


def by_urllib() -> None:
    urllib.request.urlopen(f"http://{OUTSIDE}/", timeout=0.2)


def by_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.sendto(b"a", (OUTSIDE, 53))


def by_asyncio() -> None:
    asyncio.run(asyncio.wait_for(asyncio.open_connection(OUTSIDE, 80), 0.2))


def by_sock_connect() -> None:
    async def run() -> None:
        with socket.socket() as wire:
            wire.setblocking(False)
            loop = asyncio.get_running_loop()
            await asyncio.wait_for(loop.sock_connect(wire, (OUTSIDE, 80)), 0.2)

    asyncio.run(run())


WAYS_OUT = [
    by_connect,
    by_connect_ex,
    by_v6,
    by_name,
    by_urllib,
    by_datagram,
    by_asyncio,
    by_sock_connect,
]


@pytest.mark.parametrize("leave", WAYS_OUT)
def test_raises_and_remembers(network_jail: NetworkJail, leave: Callable[[], None]) -> None:
    with pytest.raises(OSError, match="tests stay on this machine"):
        leave()

    with pytest.raises(AssertionError, match="left the machine: "):
        network_jail.check()
    network_jail.check()  # told once


def test_holds_in_other_threads(network_jail: NetworkJail) -> None:
    caught: list[BaseException] = []

    def leave() -> None:
        try:
            by_connect()
        except LeftTheMachineError as err:
            caught.append(err)

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()

    assert caught
    with pytest.raises(AssertionError, match=OUTSIDE):
        network_jail.check()


def test_asks_no_name_server_of_the_system() -> None:
    async def run() -> None:
        resolver = aiodns.DNSResolver(timeout=0.2, tries=1)
        try:
            assert resolver.nameservers == ["127.0.0.1"]
        finally:
            await resolver.close()

    asyncio.run(run())


def test_leaves_loopback_open() -> None:
    with fault_server() as server:
        for host in ("127.0.0.1", "localhost"):
            with socket.create_connection((host, server.port), timeout=5) as wire:
                wire.sendall(b"GET /ok HTTP/1.1\r\n\r\n")
                assert wire.recv(8) == b"HTTP/1.1"
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"a")
