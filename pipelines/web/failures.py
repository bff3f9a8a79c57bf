"""Which outcome an exception of the HTTP library stands for."""

import errno
import socket
import ssl
from collections.abc import Iterator

import aiohttp
from aiohttp.http import HttpProcessingError

from pipelines.fetching.refused import Refused

REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (aiohttp.InvalidURL, "bad_url"),
    (aiohttp.ClientConnectorDNSError, "dns_failure"),
    (socket.gaierror, "dns_failure"),
    (ssl.SSLError, "tls_error"),
    (aiohttp.ClientConnectorCertificateError, "tls_error"),
    (TimeoutError, "timeout"),
    (aiohttp.ClientPayloadError, "truncated_body"),
    (aiohttp.ClientResponseError, "bad_http"),
    (HttpProcessingError, "bad_http"),
    (OSError, "connect_failed"),
    (aiohttp.ClientConnectionError, "connect_failed"),
)
"""The first line that fits decides, so the narrow classes stand above the wide ones."""
OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
"""No fault of the host's."""


def reason_of(error: BaseException) -> str:
    """The outcome of a request that ended in `error`, sought through everything that caused it.

    aiohttp wraps what our guard raised at the dial, so its text and type say nothing.
    """
    chain = list(causes(error))
    for cause in chain:
        if isinstance(cause, Refused):
            return cause.reason
        if isinstance(cause, OSError) and cause.errno in OUT_OF_DESCRIPTORS:
            return "internal_error"
    for kind, reason in REASONS:
        if any(isinstance(cause, kind) for cause in chain):
            return reason
    return "internal_error"


def never_connected(error: BaseException) -> bool:
    """The request ended before a connection stood: at the name, the guard, the dial or TLS."""
    kinds = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, Refused)
    return any(isinstance(cause, kinds) for cause in causes(error))


def causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and every exception that it wraps, each once."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = (current.__cause__, current.__context__, getattr(current, "os_error", None))
        waiting.extend(cause for cause in inner if isinstance(cause, BaseException))
        waiting.extend(getattr(current, "exceptions", ()))
