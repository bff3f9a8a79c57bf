"""One request to the fault server, and the wire to answer it on, in HTTP or in anything else."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from functools import cache

import cv2
import numpy as np

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER of no seconds: closing sends RST, and what was not sent yet is thrown away."""


class Exchange:
    """One request and the wire to answer it on."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        path: str,
        query: dict[str, str],
        hit: int,
        host: str,
    ) -> None:
        self.reader, self.writer = reader, writer
        self.path, self.query, self.hit, self.host = path, query, hit, host
        self.sent_bytes = 0
        self.keeps_alive = False
        """The answer was whole, so that the connection can carry another request."""

    def raw(self, data: bytes) -> None:
        self.writer.write(data)
        self.sent_bytes += len(data)

    def head(self, status: str, *headers: str) -> None:
        self.raw(head(status, *headers))

    def reply(self, status: str, body: bytes, *headers: str) -> None:
        """A well-formed response."""
        self.raw(message(status, body, *headers))
        self.keeps_alive = True

    def picture(self, *headers: str) -> None:
        self.reply("200 OK", picture(), "Content-Type: image/jpeg", *headers)

    def reset(self) -> None:
        """End the connection with RST."""
        reset(self.writer)

    async def hang(self) -> None:
        """Send what is written so far, then nothing until the client has gone."""
        await self.writer.drain()
        await self.reader.read()

    async def repeat(self, data: bytes, every_s: float = 0.0) -> None:
        """Send `data` again and again until the client has gone."""
        while not self.writer.is_closing():
            self.raw(data)
            await self.writer.drain()
            await asyncio.sleep(every_s)


def head(status: str, *headers: str) -> bytes:
    """A status line and header lines."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1")


def message(status: str, body: bytes, *headers: str) -> bytes:
    """A well-formed response."""
    return head(status, f"Content-Length: {len(body)}", *headers) + body


def reset(writer: asyncio.StreamWriter) -> None:
    """Close the connection with RST."""
    wire = writer.get_extra_info("socket")
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()


Fault = Callable[[Exchange], Awaitable[None]]


@cache
def picture(number: int = 0) -> bytes:
    """A JPEG: number 0 has 96 x 64 pixels and a few hundred bytes, the others 64 to 640 a side."""
    if number == 0:
        ramp = np.linspace(0, 255, 96, dtype=np.uint8)
        return _jpeg(np.broadcast_to(ramp[None, :, None], (64, 96, 3)))
    draws = np.random.default_rng(number)
    height, width = (int(side) for side in draws.integers(64, 641, 2))
    coarse = draws.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return _jpeg(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def _jpeg(pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".jpg", np.ascontiguousarray(pixels))[1])
