"""A response's bytes, within the limits of what they are for."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import aiohttp

from pipelines.fetching.refused import Refused
from pipelines.web.optout import refuse_optout
from pipelines.web.responses import REDIRECTS, refuse_encoding, refuse_status
from pipelines.web.robots import MAX_ROBOTS_BYTES

DRAIN_BYTES, DRAIN_S = 64 * 1024, 1.0
"""What is read of a page that says 404, and how long: no more than a new connection would cost."""


async def read_picture(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The whole body of a picture; no byte of it is read where a header speaks against that.

    Raises:
        Refused: what headers, status, encoding or length say, `truncated_body` or `empty_body`;
            `too_many_redirects` for a redirect, to stand where none may be followed.
    """
    if response.status < 400:
        refuse_optout(response.headers, datetime.now(UTC))
    _refuse_head(response)
    if (response.content_length or 0) > max_bytes:
        raise Refused("body_too_large")
    body = await _read(response, max_bytes)
    if len(body) > max_bytes:
        raise Refused("body_too_large")
    if not body:
        raise Refused("empty_body")
    return body


async def read_robots_body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The first 500 KiB of a robots.txt.

    Raises:
        Refused: as `read_picture`, for status, encoding and a body that breaks off.
    """
    if 400 <= response.status < 500:
        await _drain(response)
    _refuse_head(response)
    return await _read(response, min(max_bytes, MAX_ROBOTS_BYTES))


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read the page that says that there is no robots.txt: the connection is free then for the
    picture that follows, which spares a dial and a TLS handshake."""
    with suppress(Refused, TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            await _read(response, DRAIN_BYTES)


def _refuse_head(response: aiohttp.ClientResponse) -> None:
    if response.status in REDIRECTS:
        raise Refused("too_many_redirects")  # unless there are redirects left
    refuse_status(response.status)
    refuse_encoding(response.headers.get("Content-Encoding", ""))


async def _read(response: aiohttp.ClientResponse, enough_bytes: int) -> bytes:
    """The body, or a beginning of it that is longer than `enough_bytes`."""
    chunks, size = [], 0
    try:
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size > enough_bytes:
                break
    except (aiohttp.ClientError, ConnectionError) as err:
        raise Refused("truncated_body") from err
    return b"".join(chunks)
