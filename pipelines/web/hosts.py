"""What one host may cost: a few requests at a time, and no more dials once it has died."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from pipelines.refused import Refused
from pipelines.web.settings import FetchSettings
from pipelines.web.urls import is_literal

UNANSWERED = frozenset({"dns_failure", "connect_failed", "timeout"})
"""Outcomes of a dial that say that nobody is there."""


class HostGate:
    """The requests to one host during one run; forgets everything with the run."""

    def __init__(self, host: str, settings: FetchSettings) -> None:
        trusted = is_literal(host) and settings.guard.allows_by_hand(host)
        self._places: AbstractAsyncContextManager[None] = (
            nullcontext() if trusted else asyncio.Semaphore(settings.host_concurrency)
        )
        self._max_failures = settings.max_host_failures
        self._failures = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for one of the host's places and hold it.

        Raises:
            Refused: `host_circuit_open` after `max_host_failures` dials in a row without an answer.
        """
        async with self._places:
            if self._failures >= self._max_failures:
                raise Refused("host_circuit_open")
            yield

    def record(self, outcome: str) -> None:
        """Count what the last request to the host came to."""
        self._failures = self._failures + 1 if outcome in UNANSWERED else 0
