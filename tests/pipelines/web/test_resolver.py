import asyncio
import socket
import threading

import pytest

from pipelines.web.resolver import DeadlineResolver


def resolve(timeout_s: float) -> list[str]:
    async def run() -> list[str]:
        resolver = DeadlineResolver(timeout_s, max_threads=2)
        try:
            answers = await resolver.resolve("name.example", 80)
        finally:
            await resolver.close()
        return [f"{answer['host']} {answer['port']}" for answer in answers]

    return asyncio.run(run())


def test_gives_every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2606:4700::1", 80, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 80)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    assert resolve(timeout_s=5) == ["2606:4700::1 80", "1.1.1.1 80"]


def test_fails_where_the_answer_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(10))

    try:
        with pytest.raises(socket.gaierror, match=r"no answer in 0\.05 s"):
            resolve(timeout_s=0.05)
    finally:
        release.set()
