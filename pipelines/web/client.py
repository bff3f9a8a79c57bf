"""The guarded fetcher: many URLs in, for each its bytes or the reason why there are none.

    URL ── checked ──> host's place ──> one of all places ──> dial, guarded ──> headers ──> body
                          ^                                                        │
                          └──────────────── redirect, checked again ───────────────┘

A host's place is taken before one of all places, so a slow host never holds what others wait for.
A body keeps its place among all until its taker is done with it: that bounds memory.
"""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.abc import AbstractResolver
from yarl import URL

from pipelines.ledger import OK
from pipelines.refused import BlockedAddress, ContactRequired, Refused
from pipelines.web.failures import reason_of
from pipelines.web.hosts import HostGate
from pipelines.web.optout import opts_out
from pipelines.web.resolver import DeadlineResolver
from pipelines.web.responses import (
    MAY_PASS,
    REDIRECTS,
    refuse_encoding,
    refuse_status,
    retry_after_s,
)
from pipelines.web.settings import FetchSettings
from pipelines.web.urls import checked_url, redirect_target

IDLE_CONNECTION_S = 4.0
"""A kept connection costs a descriptor, and most hosts of a list have one row in a unit."""
ACCEPT = "image/jpeg, image/png, image/webp, image/gif, */*;q=0.1"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of one URL."""

    outcome: str
    """`ok` or one reason out of `ledger.FETCH_OUTCOMES`."""
    body: bytes | None = None
    """The bytes, never empty; None unless `ok`."""
    url_final: str | None = None
    """The URL that was asked last, redirects included; None where none was."""
    http_status: int | None = None
    content_type: str | None = None
    """As the server gave it: what the bytes are is for the decoder to say."""
    signal: str | None = None
    """What decided, where the outcome alone does not say: "X-Robots-Tag: noai"."""
    robots: str | None = None
    """What robots.txt of the last host said: `allowed`, `none` (there is none) or `disallowed`."""


@dataclass(frozen=True, slots=True)
class _Answer:
    fetched: Fetched
    location: str | None = None
    retry_after_s: float | None = None
    seconds: float = 0.0


async def fetch_many(
    urls: Sequence[str | None], settings: FetchSettings, on_done: Callable[[int], None]
) -> list[Fetched]:
    """Fetch every URL and hold every body at once, in the order of `urls`.

    Args:
        on_done: called with 1 for each URL that has ended.

    Raises:
        ContactRequired: an address outside the allowed networks would be dialled without a contact.
    """
    results: list[Fetched | None] = [None] * len(urls)

    async def keep(index: int, fetched: Fetched) -> None:
        results[index] = fetched
        on_done(1)

    await fetch_each(urls, settings, keep)
    return [fetched for fetched in results if fetched is not None]


async def fetch_each(
    urls: Sequence[str | None],
    settings: FetchSettings,
    receive: Callable[[int, Fetched], Awaitable[None]],
) -> None:
    """Fetch every URL and await `receive(index, fetched)` once for each, as they end.

    At most `settings.total_concurrency` bodies are under way or in the hands of `receive`.
    """

    async def deliver(index: int, url: str | None) -> None:
        async with client.fetching(url) as fetched:
            await receive(index, fetched)

    async with Client(settings) as client:
        try:
            async with asyncio.TaskGroup() as tasks:
                for index, url in enumerate(urls):
                    tasks.create_task(deliver(index, url))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None  # what stopped the others


class Client:
    """One run's connections, host gates and places. Opened and closed in one event loop.

    Args:
        resolver: stands in for the system's; what it answers is guarded like any other address.
    """

    def __init__(self, settings: FetchSettings, resolver: AbstractResolver | None = None) -> None:
        self._settings = settings
        self._places = asyncio.Semaphore(settings.total_concurrency)
        self._gates: dict[str, HostGate] = {}
        self._resolver = resolver
        self._contact_missing = False

    async def __aenter__(self) -> Self:
        settings = self._settings
        if self._resolver is None:
            self._resolver = DeadlineResolver(settings.dns_timeout_s, settings.total_concurrency)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # the places are ours
                resolver=self._resolver,
                socket_factory=self._open_socket,
                keepalive_timeout=IDLE_CONNECTION_S,
            ),
            headers={
                "User-Agent": settings.user_agent,
                "Accept": ACCEPT,
                "Accept-Encoding": "identity",
            },
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,  # a proxy out of the environment would dial beyond the guard
            max_line_size=settings.max_header_bytes,
            max_field_size=settings.max_header_bytes,
            max_headers=settings.max_headers,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()
        assert self._resolver is not None
        await self._resolver.close()

    @asynccontextmanager
    async def fetching(self, url: str | None) -> AsyncIterator[Fetched]:
        """What became of `url`; a body's place among all is kept until the block ends."""
        async with AsyncExitStack() as place:
            yield await self._fetch(url, place)

    async def _fetch(self, url: str | None, place: AsyncExitStack) -> Fetched:
        try:
            target = checked_url(url or "", self._settings)
        except Refused as refused:
            return Fetched(refused.reason)
        for attempt in range(self._settings.max_retries + 1):
            answer = await self._follow(target, place)
            wait_s = self._wait_s(answer, attempt)
            if wait_s is None:
                break
            await asyncio.sleep(wait_s)
        return answer.fetched

    def _wait_s(self, answer: _Answer, attempt: int) -> float | None:
        """Seconds until the next attempt, or None where there is none."""
        fetched, settings = answer.fetched, self._settings
        may_pass = fetched.outcome in ("connect_failed", "truncated_body") or (
            fetched.outcome.startswith("http_") and fetched.http_status in MAY_PASS
        )
        asked_s = answer.retry_after_s or 0.0
        if not may_pass or attempt == settings.max_retries or asked_s > settings.max_retry_after_s:
            return None
        return max(asked_s, settings.retry_wait_s * 2.0**attempt)

    async def _follow(self, url: URL, place: AsyncExitStack) -> _Answer:
        """One attempt: ask, and follow redirects within the limits of number and time."""
        left_s = self._settings.total_timeout_s
        for _ in range(self._settings.max_redirects + 1):
            answer = await self._ask_in_turn(url, left_s, place)
            if answer.location is None:
                break
            left_s -= answer.seconds
            try:
                url = redirect_target(url, answer.location, self._settings)
            except Refused as refused:
                status = answer.fetched.http_status
                return _Answer(Fetched(refused.reason, None, str(url), status))
        return answer

    async def _ask_in_turn(self, url: URL, left_s: float, place: AsyncExitStack) -> _Answer:
        gate = self._gate(url.raw_host or "")
        try:
            async with gate.place():
                await place.enter_async_context(self._places)
                answer = await self._ask(url, left_s)
                gate.record(answer.fetched.outcome)
        except Refused as refused:
            return _Answer(Fetched(refused.reason, url_final=str(url)))
        if answer.fetched.body is None:
            await place.aclose()
        return answer

    def _gate(self, host: str) -> HostGate:
        if host not in self._gates:
            self._gates[host] = HostGate(host, self._settings)
        return self._gates[host]

    async def _ask(self, url: URL, left_s: float) -> _Answer:
        started = time.monotonic()
        try:
            async with asyncio.timeout(left_s):
                async with self._session.get(url, allow_redirects=False) as response:
                    answer = await self._read(response)
        except Exception as error:  # a stranger's server: whatever it provokes costs one row
            if self._contact_missing:
                raise ContactRequired from error
            reason = reason_of(error)
            if reason == "internal_error":
                logger.warning("internal_error: %s", url, exc_info=error)
            answer = _Answer(Fetched(reason, url_final=str(url)))
        return replace(answer, seconds=time.monotonic() - started)

    async def _read(self, response: aiohttp.ClientResponse) -> _Answer:
        body, outcome, location = None, OK, None
        try:
            if response.status < 400 and opts_out(response.headers.getall("X-Robots-Tag", ())):
                raise Refused("optout_header")
            if response.status in REDIRECTS:
                location = response.headers.get("Location", "")
                raise Refused("too_many_redirects")  # unless there are redirects left
            body = await self._body(response)
        except Refused as refused:
            outcome = refused.reason
        content_type = response.headers.get("Content-Type")
        return _Answer(
            Fetched(outcome, body, str(response.url), response.status, content_type),
            location,
            retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC)),
        )

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        refuse_status(response.status)
        refuse_encoding(response.headers.get("Content-Encoding", ""))
        if (response.content_length or 0) > self._settings.max_body_bytes:
            raise Refused("body_too_large")
        body = bytearray()
        try:
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > self._settings.max_body_bytes:
                    raise Refused("body_too_large")
        except (aiohttp.ClientError, ConnectionError) as err:
            raise Refused("truncated_body") from err
        if not body:
            raise Refused("empty_body")
        return bytes(body)

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
