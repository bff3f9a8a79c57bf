"""Names to addresses, in threads of their own and with a deadline.

`getaddrinfo` cannot be given a deadline, and asyncio's default pool has a handful of threads: a few
dead names would hold up every other row's lookup. Here there is a thread for each request that can
be under way, and an answer that is late is a failure of the name (the thread ends by itself when
the system's resolver gives up). A library with an asynchronous resolver (aiodns) would spare the
threads; it is another compiled dependency for no row more.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult

_FLAGS = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class DeadlineResolver(AbstractResolver):
    """The system's resolver; a lookup that takes longer than `timeout_s` raises OSError."""

    def __init__(self, timeout_s: float, max_threads: int) -> None:
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(max_threads, thread_name_prefix="resolve")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        lookup = loop.run_in_executor(self._threads, _look_up, host, port, family)
        try:
            return await asyncio.wait_for(lookup, self._timeout_s)
        except TimeoutError as err:
            raise socket.gaierror(socket.EAI_AGAIN, f"no answer in {self._timeout_s} s") from err

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    answers = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=port,
            family=answer_family,
            proto=protocol,
            flags=_FLAGS,
        )
        for answer_family, _, protocol, _, address in answers
    ]
