"""One guarded request: dial, headers, body, and what became of it.

One `aiohttp` session for a process: it keeps connections, knows one TLS context for all, no proxy,
no cookies, and asks the guard about the very address that is dialled.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from pipelines.dead_letters import INTERNAL_ERROR, describe_fault
from pipelines.fetching.refused import BlockedAddress, ContactRequired, Refused
from pipelines.ledger import OK
from pipelines.web.answers import Answer
from pipelines.web.failures import never_connected, reason_of
from pipelines.web.responses import MAY_PASS, retry_after_s
from pipelines.web.settings import FetchSettings
from pipelines.web.strict_response import StrictHandler, StrictResponse

IDLE_CONNECTION_S = 4.0
"""Seconds that a connection is kept: each costs a descriptor, here and at the server."""
CLOSE = {"Connection": "close"}
ACCEPT = "image/jpeg, image/png, image/webp, image/gif, */*;q=0.1"

logger = logging.getLogger(__name__)

ReadBody = Callable[[aiohttp.ClientResponse, int], Awaitable[bytes]]


class GuardedSession:
    """Asks for one URL at a time; opened inside an event loop and closed in the same."""

    def __init__(self, settings: FetchSettings, resolver: AbstractResolver) -> None:
        self._settings = settings
        self._contact_missing = False
        self._now = asyncio.get_running_loop().time
        self._session = aiohttp.ClientSession(
            connector=self._connector(resolver),
            headers={
                "User-Agent": settings.user_agent,
                "Accept": ACCEPT,
                "Accept-Encoding": "identity",
            },
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            response_class=StrictResponse,
            trust_env=False,  # a proxy out of the environment would dial beyond the guard
            max_line_size=settings.max_header_bytes,
            max_field_size=settings.max_header_bytes,
            max_headers=settings.max_headers,
        )

    def _connector(self, resolver: AbstractResolver) -> aiohttp.TCPConnector:
        connector = aiohttp.TCPConnector(
            limit=0,  # the places are the client's
            resolver=resolver,
            use_dns_cache=False,  # the resolver has its own
            socket_factory=self._open_socket,
            keepalive_timeout=IDLE_CONNECTION_S,
        )
        handler: type[ResponseHandler] = StrictHandler
        connector._factory = partial(handler, loop=asyncio.get_running_loop())
        return connector

    async def close(self) -> None:
        await self._session.close()

    async def ask(self, url: URL, left_s: float, read_body: ReadBody, keep: bool) -> Answer:
        """Ask for `url` within `left_s` seconds; a redirect is told, not followed.

        Args:
            keep: the connection is kept for the host's next request.

        Raises:
            ContactRequired: an address outside the allowed networks, and no contact to name.
        """
        started = self._now()
        try:
            async with asyncio.timeout(left_s):
                async with self._session.get(
                    url, allow_redirects=False, headers=None if keep else CLOSE
                ) as response:
                    answer = await self._read(url, response, read_body)
        except Exception as error:  # a stranger's server: whatever it provokes costs one row
            if self._contact_missing:
                raise ContactRequired from error
            reason = reason_of(error)
            fault = None
            if reason == INTERNAL_ERROR:
                logger.warning("%s: %s", reason, url, exc_info=error)
                fault = describe_fault(error)
            answer = Answer(reason, url, reached=not never_connected(error), signal=fault)
        answer.seconds = self._now() - started
        return answer

    async def _read(
        self, url: URL, response: aiohttp.ClientResponse, read_body: ReadBody
    ) -> Answer:
        body, outcome, signal = None, OK, None
        try:
            body = await read_body(response, self._settings.max_body_bytes)
        except Refused as refused:
            outcome, signal = refused.reason, refused.signal
        headers, is_redirect = response.headers, outcome == "too_many_redirects"
        after = headers.get("Retry-After") if response.status in MAY_PASS else None
        return Answer(
            outcome,
            url,
            response.status,
            body,
            headers.get("Content-Type"),
            headers.get("Location", "") if is_redirect else None,
            None if after is None else retry_after_s(after, datetime.now(UTC)),
            signal=signal,
        )

    def _open_socket(self, address_info: AddrInfoType) -> socket.socket:
        """The guard's place: called with the very address that is dialled, for every dial."""
        family, kind, protocol, _, address = address_info
        host, port = str(address[0]), int(address[1])
        guard = self._settings.guard
        reason = guard.refusal(host, port)
        if reason is not None:
            raise BlockedAddress(reason)
        if self._settings.contact is None and not guard.allows_by_hand(host):
            self._contact_missing = True  # aiohttp loses the type of what is raised here
            raise BlockedAddress("ssrf_blocked")
        return socket.socket(family, kind, protocol)
