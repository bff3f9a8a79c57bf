"""A web server that misbehaves on purpose, for tests and for trying a build's limits.

    python -m pipelines.web.faultserver --port 8000
    curl -i http://127.0.0.1:8000/two_lengths

Raw asyncio, because it sends what no web framework would let it send. `/` lists the paths;
`/random/<n>` answers with a seeded mix of them. A client that begins with a TLS handshake gets
something else than TLS, or with `--tls hang` nothing at all.
"""

import argparse
import asyncio
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from pipelines.web.fault_answers import missing
from pipelines.web.fault_exchange import Exchange, Fault, picture, reset
from pipelines.web.faults import PATHS, Mix, menu

__all__ = ["FaultServer", "fault_server", "picture"]

TLS_HELLO = b"\x16"
KEPT_HEADS = 10_000


class FaultServer:
    """Serves the faults by name and counts what it is asked.

    Args:
        pages: path to bytes, served as they are; they go before the faults.
        routes: path to a fault of the caller's own; they go before everything.
        tls: serve HTTPS with this certificate instead of HTTP.
        hangs_on_tls: leave a TLS handshake without an answer (where `tls` is None).
        max_connections: further connections are reset while there are so many.
        seed: of the mix at `/random/<n>`.
    """

    def __init__(
        self,
        pages: Mapping[str, bytes] | None = None,
        *,
        routes: Mapping[str, Fault] | None = None,
        tls: ssl.SSLContext | None = None,
        hangs_on_tls: bool = False,
        max_connections: int | None = None,
        seed: int = 0,
    ) -> None:
        self.pages, self._routes = pages or {}, routes or {}
        self._tls, self._hangs_on_tls = tls, hangs_on_tls
        self._max_connections, self._mix = max_connections, Mix(seed)
        self.hits: Counter[str] = Counter()
        self.headers: list[str] = []
        """The last 10,000 request heads as they came, newest last."""
        self.sent_bytes: Counter[str] = Counter()
        """By path, of answers that have ended: more than arrived, by what the two kernels hold."""
        self.open_connections, self.most_connections = 0, 0
        self.host, self.port = "", 0

    async def start(self, host: str, port: int = 0) -> asyncio.Server:
        """Listen; port 0 takes a free one."""
        server = await asyncio.start_server(self._serve, host, port, ssl=self._tls, backlog=1024)
        self.host, self.port = server.sockets[0].getsockname()[:2]
        return server

    def url(self, path: str, host: str | None = None) -> str:
        """Where `path` ("/ok") is served; `host` is a name that leads there."""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{host or self.host}:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        self.most_connections = max(self.most_connections, self.open_connections)
        try:
            if self.open_connections > (self._max_connections or self.open_connections):
                reset(writer)
            else:
                await self._converse(reader, writer)
        except (OSError, EOFError, asyncio.LimitOverrunError):
            pass  # the client has heard enough
        except asyncio.CancelledError:
            pass  # the server ends; asyncio 3.11 would print a traceback for each connection
        finally:
            self.open_connections -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        goes_on = True
        while goes_on:
            first = await reader.readexactly(1)
            if first == TLS_HELLO:
                await self._meet_tls(reader, writer)
                return
            head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            goes_on = await self._answer(reader, writer, head)
            await writer.drain()

    async def _meet_tls(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._hangs_on_tls:
            await reader.read()  # until the client has gone
        writer.write(b"this is no TLS\r\n")
        await writer.drain()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str
    ) -> bool:
        """Answer one request; the connection may carry another."""
        target = urlsplit(head.split(" ")[1])
        self._note(head, target.path)
        query = {name: values[-1] for name, values in parse_qs(target.query).items()}
        hit, host = self.hits[target.path], _host(head)
        exchange = Exchange(reader, writer, target.path, query, hit, host)
        try:
            await self._fault(target.path)(exchange)
        finally:
            self.sent_bytes[target.path] += exchange.sent_bytes
        return exchange.keeps_alive and "connection: close" not in head.lower()

    def _note(self, head: str, path: str) -> None:
        self.hits[path] += 1
        self.headers.append(head)
        if len(self.headers) > 2 * KEPT_HEADS:
            del self.headers[:KEPT_HEADS]

    def _fault(self, path: str) -> Fault:
        if path in self._routes:
            return self._routes[path]
        if path in self.pages or path == "/":
            return self._page
        return self._mix if path.startswith("/random/") else PATHS.get(path, missing)

    async def _page(self, exchange: Exchange) -> None:
        if exchange.path in self.pages:
            exchange.reply("200 OK", self.pages[exchange.path])
        else:
            exchange.reply("200 OK", menu().encode(), "Content-Type: text/plain")


@contextmanager
def fault_server(
    host: str = "127.0.0.1",
    pages: Mapping[str, bytes] | None = None,
    *,
    routes: Mapping[str, Fault] | None = None,
    tls: ssl.SSLContext | None = None,
    hangs_on_tls: bool = False,
    max_connections: int | None = None,
    seed: int = 0,
) -> Iterator[FaultServer]:
    """A server on a free port, in a thread of its own, until the block ends."""
    faults = FaultServer(
        pages,
        routes=routes,
        tls=tls,
        hangs_on_tls=hangs_on_tls,
        max_connections=max_connections,
        seed=seed,
    )
    with _running(faults, host):
        yield faults


@contextmanager
def _running(faults: FaultServer, host: str) -> Iterator[None]:
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
        yield
    finally:
        if running:
            running[0].call_soon_threadsafe(done.set)
        thread.join(10)


def _host(head: str) -> str:
    """The name that the request was sent to, without its port."""
    lines = (line.partition(":") for line in head.lower().split("\r\n")[1:])
    return next((value.strip().partition(":")[0] for name, _, value in lines if name == "host"), "")


async def _serve_for_ever(faults: FaultServer, host: str, port: int) -> None:
    server = await faults.start(host, port)
    print(f"serving on {faults.url('/')}\n{menu()}", end="", flush=True)
    await server.serve_forever()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.web.faultserver",
        description="A web server that misbehaves on purpose.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0: a free one")
    parser.add_argument("--seed", type=int, default=0, help="of the mix at /random/<n>")
    parser.add_argument(
        "--tls", choices=("banner", "hang"), default="banner", help="what a TLS handshake gets"
    )
    parser.add_argument(
        "--max_connections", type=int, help="reset further connections while there are so many"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted."""
    options = _parser().parse_args(argv)
    faults = FaultServer(
        hangs_on_tls=options.tls == "hang",
        max_connections=options.max_connections,
        seed=options.seed,
    )
    try:
        asyncio.run(_serve_for_ever(faults, options.host, options.port))
    except KeyboardInterrupt:
        return 130
    except OSError as err:
        print(f"cannot listen on {options.host}:{options.port}: {err}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
