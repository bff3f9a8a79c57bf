"""A web server that misbehaves on purpose, for tests and for trying a build's limits.

    python -m pipelines.web.faultserver --port 8000
    curl -i http://127.0.0.1:8000/gzip

Raw asyncio, because it sends what no web framework would let it send. `/` lists the paths.
"""

import argparse
import asyncio
import gzip
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np

DRIP_S = 0.2
TLS_HELLO = b"\x16"


@cache
def picture() -> bytes:
    """A JPEG of 96 x 64 pixels, a few hundred bytes."""
    ramp = np.linspace(0, 255, 96, dtype=np.uint8)
    pixels = np.broadcast_to(ramp[None, :, None], (64, 96, 3))
    return bytes(cv2.imencode(".jpg", np.ascontiguousarray(pixels))[1])


class Exchange:
    """One request and the wire to answer it on."""

    def __init__(
        self, writer: asyncio.StreamWriter, path: str, query: dict[str, str], hit: int
    ) -> None:
        self.writer, self.path, self.query, self.hit = writer, path, query, hit

    def raw(self, data: bytes) -> None:
        self.writer.write(data)

    def head(self, status: str, *headers: str) -> None:
        self.raw("\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1"))

    def reply(self, status: str, body: bytes, *headers: str) -> None:
        """A well-formed response."""
        self.head(status, f"Content-Length: {len(body)}", *headers)
        self.raw(body)

    def picture(self, *headers: str) -> None:
        self.reply("200 OK", picture(), "Content-Type: image/jpeg", *headers)


Fault = Callable[[Exchange], Awaitable[None]]


async def ok(exchange: Exchange) -> None:
    """a picture"""
    exchange.picture()


async def missing(exchange: Exchange) -> None:
    """404"""
    exchange.reply("404 Not Found", b"gone")


async def status(exchange: Exchange) -> None:
    """the status of ?code=, with ?retry_after= where it is given"""
    after = exchange.query.get("retry_after")
    headers = [] if after is None else [f"Retry-After: {after}"]
    code = exchange.query.get("code", "500")
    exchange.reply(f"{code} Told", b"" if code in ("204", "304") else b"no", *headers)


async def page(exchange: Exchange) -> None:
    """an HTML page where a picture was promised"""
    exchange.reply("200 OK", b"<!DOCTYPE html><p>Buy this domain", "Content-Type: image/jpeg")


async def empty(exchange: Exchange) -> None:
    """a body of no bytes"""
    exchange.reply("200 OK", b"")


async def drip(exchange: Exchange) -> None:
    """one byte of body now and then, for ever"""
    exchange.head("200 OK", "Content-Length: 1000000")
    while not exchange.writer.is_closing():
        exchange.raw(b"\xff")
        await exchange.writer.drain()
        await asyncio.sleep(DRIP_S)


async def header_drip(exchange: Exchange) -> None:
    """one byte of header now and then, for ever"""
    exchange.raw(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not exchange.writer.is_closing():
        exchange.raw(b"a")
        await exchange.writer.drain()
        await asyncio.sleep(DRIP_S)


async def silence(exchange: Exchange) -> None:
    """no answer at all"""
    await asyncio.sleep(3600)


async def endless(exchange: Exchange) -> None:
    """a body without a length and without an end"""
    exchange.head("200 OK")
    while not exchange.writer.is_closing():
        exchange.raw(bytes(64 * 1024))
        await exchange.writer.drain()


async def huge(exchange: Exchange) -> None:
    """a Content-Length of ten terabytes"""
    exchange.head("200 OK", f"Content-Length: {10**13}")


async def short(exchange: Exchange) -> None:
    """a body that ends before its Content-Length"""
    exchange.head("200 OK", f"Content-Length: {len(picture())}")
    exchange.raw(picture()[:100])


async def packed(exchange: Exchange) -> None:
    """a gzip body, although identity was asked for"""
    exchange.reply("200 OK", gzip.compress(picture()), "Content-Encoding: gzip")


async def flaky(exchange: Exchange) -> None:
    """503 to every odd request, a picture to every even one"""
    if exchange.hit % 2:
        exchange.reply("503 Busy", b"later", "Retry-After: 0")
    else:
        exchange.picture()


async def banner(exchange: Exchange) -> None:
    """something that is not HTTP"""
    exchange.raw(b"SSH-2.0-OpenSSH_9.6\r\n")


async def hang_up(exchange: Exchange) -> None:
    """the connection is closed without an answer"""


async def redirect(exchange: Exchange) -> None:
    """302 to the URL of ?to=, after ?after_s= seconds"""
    await asyncio.sleep(float(exchange.query.get("after_s", 0)))
    exchange.reply("302 Found", b"", f"Location: {exchange.query.get('to', '/ok')}")


async def loop(exchange: Exchange) -> None:
    """302 to itself"""
    exchange.reply("302 Found", b"", "Location: /loop")


async def nowhere(exchange: Exchange) -> None:
    """302 without a Location"""
    exchange.reply("302 Found", b"")


async def opted_out(exchange: Exchange) -> None:
    """a picture that ?tag= keeps from crawlers (default noai)"""
    exchange.picture(f"X-Robots-Tag: {exchange.query.get('tag', 'noai')}")


async def opted_out_redirect(exchange: Exchange) -> None:
    """302 to a picture, with X-Robots-Tag: noai on the way"""
    exchange.reply("302 Found", b"", "Location: /ok", "X-Robots-Tag: noai")


FAULTS: tuple[Fault, ...] = (
    ok,
    missing,
    status,
    page,
    empty,
    drip,
    header_drip,
    silence,
    endless,
    huge,
    short,
    packed,
    flaky,
    banner,
    hang_up,
    redirect,
    loop,
    nowhere,
    opted_out,
    opted_out_redirect,
)
PATHS: dict[str, Fault] = {f"/{fault.__name__}": fault for fault in FAULTS}


class FaultServer:
    """Serves FAULTS by name, and `pages` (path to bytes) as they are; counts what it is asked."""

    def __init__(self, pages: dict[str, bytes] | None = None) -> None:
        self.pages = pages or {}
        self.hits: Counter[str] = Counter()
        self.headers: list[str] = []
        """The request heads as they came, newest last."""
        self.host, self.port = "", 0

    async def start(self, host: str, port: int = 0) -> asyncio.Server:
        """Listen; port 0 takes a free one."""
        server = await asyncio.start_server(self._serve, host, port)
        self.host, self.port = server.sockets[0].getsockname()[:2]
        return server

    def url(self, path: str) -> str:
        """Where `path` ("/ok") is served."""
        return f"http://{self.host}:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(1)
            if first == TLS_HELLO:
                writer.write(b"this is no TLS\r\n")
            else:
                head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                await self._answer(writer, head)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client has heard enough
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, head: str) -> None:
        target = urlsplit(head.split(" ")[1])
        self.headers.append(head)
        self.hits[target.path] += 1
        query = {name: values[-1] for name, values in parse_qs(target.query).items()}
        exchange = Exchange(writer, target.path, query, self.hits[target.path])
        if target.path in PATHS:
            await PATHS[target.path](exchange)
        elif target.path in self.pages:
            exchange.reply("200 OK", self.pages[target.path])
        elif target.path == "/":
            exchange.reply("200 OK", _menu().encode(), "Content-Type: text/plain")
        else:
            await missing(exchange)


@contextmanager
def fault_server(
    host: str = "127.0.0.1", pages: dict[str, bytes] | None = None
) -> Iterator[FaultServer]:
    """A server on a free port, in a thread of its own, until the block ends."""
    faults = FaultServer(pages)
    ready, done = threading.Event(), asyncio.Event()
    running: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        running.append(asyncio.get_running_loop())
        server = await faults.start(host)
        ready.set()
        await done.wait()
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    try:
        if not ready.wait(10):
            raise OSError(f"cannot listen on {host}")
        yield faults
    finally:
        if running:
            running[0].call_soon_threadsafe(done.set)
        thread.join(10)


def _menu() -> str:
    return "".join(f"{path:20} {fault.__doc__}\n" for path, fault in PATHS.items())


async def _serve_for_ever(host: str, port: int) -> None:
    faults = FaultServer()
    server = await faults.start(host, port)
    print(f"serving on {faults.url('/')}\n{_menu()}", end="", flush=True)
    await server.serve_forever()


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.web.faultserver",
        description="A web server that misbehaves on purpose.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on")
    options = parser.parse_args(argv)
    try:
        asyncio.run(_serve_for_ever(options.host, options.port))
    except KeyboardInterrupt:
        return 130
    except OSError as err:
        print(f"cannot listen on {options.host}:{options.port}: {err}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
