"""A response that belongs to its request, and a server that is not listened to for ever.

Things that aiohttp 3.14 lets pass and Go's net/http does not:

- A server may answer twice. On a kept connection the second answer would be taken for the next
  request's, and so on: from then on every row of the host would get its neighbour's picture. (One
  that is sent after the next request has gone out is that request's answer for all one can tell.)
- A server may send interim answers (1xx) before the one that counts (RFC 9110, 15.2). A flood of
  them would keep a core busy up to the deadline.
- A body may turn out malformed after its head has been read (a chunk whose size is no number). The
  connection is closed then, but whoever reads the body waits for more of it up to the deadline.
"""

from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError

if TYPE_CHECKING:
    from aiohttp.connector import Connection

MAX_INTERIM = 5
"""Interim answers to one request (Go's net/http allows as many)."""


class StrictResponse(aiohttp.ClientResponse):
    """Refuses an answer from before the request, and more than MAX_INTERIM interim ones."""

    async def start(self, connection: "Connection") -> aiohttp.ClientResponse:
        protocol: Any = connection.protocol
        if len(protocol):  # nothing was read since the request was written: this is older
            raise aiohttp.ServerDisconnectedError("an answer that nobody asked for")
        read, heads = protocol.read, 0

        async def read_few() -> Any:
            nonlocal heads
            heads += 1
            if heads > MAX_INTERIM + 1:
                raise HttpProcessingError(code=400, message="too many interim answers")
            return await read()

        protocol.read = read_few  # the one step that aiohttp takes for each head
        try:
            return await super().start(connection)
        finally:
            del protocol.read


class StrictHandler(ResponseHandler):
    """Tells the reader of a body what has become of its connection."""

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        super().set_exception(exc, *cause)
        body = self._payload
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(exc)
