import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from pipelines.web import resolver as resolver_module
from pipelines.web.resolver import CachingResolver

A, AAAA = 1, 28


class NameServer(asyncio.DatagramProtocol):
    """Answers A questions with `addresses`, else NXDOMAIN; no word to names that are silent."""

    def __init__(self, addresses: dict[str, str], silent: Iterable[str] = ()) -> None:
        self.addresses, self.silent = addresses, set(silent)
        self.asked: Counter[str] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        name, end = read_name(data)
        (kind,) = struct.unpack_from("!H", data, end)
        self.asked[name] += kind == A
        if name in self.silent:
            return
        address = self.addresses.get(name)
        answers = [] if address is None or kind == AAAA else [address]
        code = 3 if address is None else 0
        head = data[:2] + struct.pack("!5H", 0x8180 | code, 1, len(answers), 0, 0)
        records = b"".join(
            struct.pack("!HHHIH", 0xC00C, A, 1, 0, 4) + socket.inet_aton(one) for one in answers
        )
        self.transport.sendto(head + data[12 : end + 4] + records, sender)


def read_name(data: bytes) -> tuple[str, int]:
    labels, place = [], 12
    while data[place]:
        labels.append(data[place + 1 : place + 1 + data[place]].decode())
        place += data[place] + 1
    return ".".join(labels).lower(), place + 1


@asynccontextmanager
async def resolving(server: NameServer, timeout_s: float = 5.0) -> AsyncIterator[CachingResolver]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    resolver = CachingResolver(timeout_s, nameservers=[f"127.0.0.1:{port}"])
    try:
        yield resolver
    finally:
        await resolver.close()
        transport.close()


async def addresses(resolver: CachingResolver, host: str) -> list[str]:
    return [f"{one['host']} {one['port']}" for one in await resolver.resolve(host, 80)]


def test_gives_a_names_address_and_asks_once_for_all_who_wait() -> None:
    server = NameServer({"a.example": "192.0.2.7"})

    async def run() -> list[list[str]]:
        async with resolving(server) as resolver:
            return await asyncio.gather(*(addresses(resolver, "a.example") for _ in range(50)))

    assert asyncio.run(run()) == [["192.0.2.7 80"]] * 50
    assert server.asked == {"a.example": 1}


def test_asks_once_for_a_name_that_does_not_exist() -> None:
    server = NameServer({})

    async def run() -> int:
        failures = 0
        async with resolving(server) as resolver:
            for _ in range(50):
                with pytest.raises(socket.gaierror):
                    await resolver.resolve("dead.example", 80)
                failures += 1
        return failures

    assert asyncio.run(run()) == 50
    assert server.asked == {"dead.example": 1}


def test_asks_for_no_suffix_of_a_name() -> None:
    server = NameServer({})

    async def run() -> None:
        async with resolving(server) as resolver:
            with pytest.raises(socket.gaierror):
                await resolver.resolve("intranet", 80)

    asyncio.run(run())

    assert set(server.asked) <= {"intranet"}


def test_gives_up_on_a_silent_server_at_the_deadline() -> None:
    server = NameServer({"b.example": "192.0.2.8"}, silent=["slow.example"])

    async def run() -> float:
        loop = asyncio.get_running_loop()
        async with resolving(server, timeout_s=0.4) as resolver:
            started = loop.time()
            slow = [asyncio.create_task(resolver.resolve("slow.example", 80)) for _ in range(20)]
            assert await addresses(resolver, "b.example") == ["192.0.2.8 80"]
            assert not any(lookup.done() for lookup in slow)  # nobody waits for another's name
            failures = await asyncio.gather(*slow, return_exceptions=True)
            assert all(isinstance(one, socket.gaierror) for one in failures)
            return loop.time() - started

    assert 0.25 <= asyncio.run(run()) < 2


def test_knows_localhost_and_the_hosts_file_without_a_server() -> None:
    server = NameServer({})

    async def run() -> list[str]:
        async with resolving(server) as resolver:
            return await addresses(resolver, "localhost")

    assert "127.0.0.1 80" in asyncio.run(run())
    assert not server.asked


def test_keeps_the_names_asked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_module, "MAX_NAMES", 2)
    server = NameServer({f"{n}.example": "192.0.2.9" for n in range(4)})

    async def run() -> None:
        async with resolving(server) as resolver:
            for n in (0, 1, 2, 2, 1, 0):
                await resolver.resolve(f"{n}.example", 80)

    asyncio.run(run())

    assert server.asked == {"0.example": 2, "1.example": 1, "2.example": 1}


def test_asks_again_when_an_answer_has_aged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_module, "FOUND_S", 0.05)
    server = NameServer({"moving.example": "192.0.2.1"})

    async def run() -> list[str]:
        async with resolving(server) as resolver:
            await resolver.resolve("moving.example", 80)
            server.addresses["moving.example"] = "192.0.2.2"
            await asyncio.sleep(0.06)
            return await addresses(resolver, "moving.example")

    assert asyncio.run(run()) == ["192.0.2.2 80"]


def test_starts_c_ares_anew_without_losing_a_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_module, "RENEW_AFTER", 3)
    server = NameServer({f"{n}.example": "192.0.2.3" for n in range(20)})

    async def run() -> list[list[str]]:
        async with resolving(server) as resolver:
            names = [f"{n}.example" for n in range(20)]
            return await asyncio.gather(*(addresses(resolver, name) for name in names))

    assert asyncio.run(run()) == [["192.0.2.3 80"]] * 20
