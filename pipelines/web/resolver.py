"""Names to addresses: asynchronous, with a deadline, one question at a time for each name.

`getaddrinfo` has no deadline and takes a thread for each lookup. c-ares (aiodns) asks the servers
of resolv.conf itself and knows /etc/hosts and localhost; search domains are left out, for a list of
URLs names hosts in full and each suffix would be one more question for every dead name. What is
answered, a failure included, is remembered for a while. The clock is the event loop's.
"""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import aiodns
import pycares
from aiohttp.abc import AbstractResolver, ResolveResult

FOUND_S = 60.0
"""Seconds that addresses are kept, whatever their time to live (Firefox)."""
NO_SUCH_NAME_S = 300.0
"""Seconds that a name that does not exist is not asked for again (RFC 2308 allows 3 hours)."""
NO_ANSWER_S = 30.0
"""Seconds after a lookup that failed: the fault may be the resolver's."""
MAX_NAMES = 50_000
"""Names that are remembered, about 500 bytes each."""
RENEW_AFTER = 50_000
"""Lookups after which c-ares is started anew: it keeps its own answers and cannot be bounded."""
TRIES = 2
"""Questions to each server within the deadline (resolv.conf's default)."""

_NO_SUCH_NAME = (pycares.errno.ARES_ENOTFOUND, pycares.errno.ARES_ENODATA)
_FLAGS = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


@dataclass(frozen=True, slots=True)
class _Known:
    """What a lookup came to: addresses with their families, or an error's text."""

    addresses: tuple[tuple[int, str], ...]
    failure: str
    until: float


class CachingResolver(AbstractResolver):
    """Raises OSError (gaierror) for a name without an address, and after `timeout_s`.

    Args:
        nameservers: "address" or "address:port"; those of the system by default.
    """

    def __init__(self, timeout_s: float, nameservers: Sequence[str] = ()) -> None:
        self._timeout_s = timeout_s
        self._now = asyncio.get_running_loop().time
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lookups: dict[str, asyncio.Task[_Known]] = {}
        self._nameservers = nameservers or None
        self._ares, self._num_lookups = self._start(), 0
        self._retired: set[asyncio.Task[None]] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        known = self._known.get(host)
        if known is None or known.until <= self._now():
            known = await self._look_up_once(host)
        if known.failure:
            raise socket.gaierror(socket.EAI_NONAME, known.failure)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=address_family,
                proto=socket.IPPROTO_TCP,
                flags=_FLAGS,
            )
            for address_family, address in known.addresses
            if family in (socket.AF_UNSPEC, address_family)
        ]

    async def close(self) -> None:
        for lookup in self._lookups.values():
            lookup.cancel()
        for task in self._retired:
            task.cancel()
        await asyncio.gather(*self._retired, self._ares.close(), return_exceptions=True)

    def _start(self) -> aiodns.DNSResolver:
        return aiodns.DNSResolver(
            nameservers=self._nameservers,
            timeout=self._timeout_s / TRIES,
            tries=TRIES,
            flags=pycares.ARES_FLAG_NOSEARCH,
        )

    def _renew(self) -> None:
        """Start anew; the old channel is closed once its last question has met its deadline."""

        async def retire(old: aiodns.DNSResolver) -> None:
            try:
                await asyncio.sleep(2 * self._timeout_s)
            finally:
                await old.close()

        task = asyncio.create_task(retire(self._ares))
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)
        self._ares, self._num_lookups = self._start(), 0

    async def _look_up_once(self, host: str) -> _Known:
        if host not in self._lookups:
            self._lookups[host] = asyncio.create_task(self._look_up(host))
            self._lookups[host].add_done_callback(lambda _: self._lookups.pop(host))
        return await asyncio.shield(self._lookups[host])

    async def _look_up(self, host: str) -> _Known:
        now = self._now()
        self._num_lookups += 1
        if self._num_lookups > RENEW_AFTER:
            self._renew()
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await self._ares.getaddrinfo(host, type=socket.SOCK_STREAM)
            addresses = tuple((node.family, node.addr[0].decode()) for node in found.nodes)
            known = _Known(addresses, "" if addresses else "no address", now + FOUND_S)
        except TimeoutError:
            failure = f"no answer in {self._timeout_s} s"
            known = _Known((), failure, self._now() + NO_ANSWER_S)
        except aiodns.error.DNSError as err:
            kept_s = NO_SUCH_NAME_S if err.args[0] in _NO_SUCH_NAME else NO_ANSWER_S
            known = _Known((), str(err.args[-1]), self._now() + kept_s)
        self._remember(host, known)
        return known

    def _remember(self, host: str, known: _Known) -> None:
        self._known[host] = known
        self._known.move_to_end(host)
        if len(self._known) > MAX_NAMES:
            self._known.popitem(last=False)
