"""A web that is far away: answers come after a round trip, and some never.

    python benchmarks/fetching/far_server.py FOLDER DELAY_S HANG_SHARE

Prints its port, then every half second how many pictures it has sent. One asyncio process; every
`1 / HANG_SHARE`-th picture's request is taken and never answered.
"""

import asyncio
import contextlib
import sys
from pathlib import Path


class FarServer:
    def __init__(self, folder: Path, delay_s: float, hang_share: float) -> None:
        self._folder, self._delay_s = folder, delay_s
        self._hang_every = round(1 / hang_share) if hang_share else 0
        self.sent = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self._delay_s)  # the handshake's round trip
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(self._delay_s)
                await self._answer(head.split(b" ")[1].decode().strip("/"), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, name: str, writer: asyncio.StreamWriter) -> None:
        stem = name.removesuffix(".jpg")
        if not stem.isdecimal():
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        if self._hang_every and int(stem) % self._hang_every == 0:
            await asyncio.sleep(3600)
        body = (self._folder / name).read_bytes()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        self.sent += 1


async def main() -> None:
    far = FarServer(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
    server = await asyncio.start_server(far.serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    while True:
        await asyncio.sleep(0.5)
        print(far.sent, flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        asyncio.run(main())
