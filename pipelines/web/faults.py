"""Every fault by its path, and a seeded mix of them for long runs."""

import random
import zlib

from pipelines.web.fault_answers import ANSWERS
from pipelines.web.fault_bodies import BODIES
from pipelines.web.fault_bombs import BOMBS
from pipelines.web.fault_exchange import Exchange, Fault, picture
from pipelines.web.fault_heads import HEADS
from pipelines.web.fault_waits import WAITS

FAULTS: tuple[Fault, ...] = (*ANSWERS, *BODIES, *HEADS, *WAITS, *BOMBS)
PATHS: dict[str, Fault] = {f"/{fault.__name__}": fault for fault in FAULTS}

FINE_RATIO = 0.85
NUM_PICTURES = 64
DIES_AFTER = 20
"""Requests that a host whose name begins with "dying" still answers."""


class Mix:
    """Answers `/random/<n>`: the same for the same seed and n, whatever was asked before.

    85 of 100 answers are pictures of many sizes, the rest every fault, all equally often. A host
    whose name begins with "dying" answers its first requests and then never again.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._asked: dict[str, int] = {}

    async def __call__(self, exchange: Exchange) -> None:
        if self._is_dead(exchange.host):
            return
        fault = self.choose(exchange.path)
        if fault is None:
            body = picture(1 + zlib.crc32(exchange.path.encode()) % NUM_PICTURES)
            exchange.reply("200 OK", body, "Content-Type: image/jpeg")
        else:
            await fault(exchange)

    def choose(self, path: str) -> Fault | None:
        """The fault that answers `path`, or None for a picture."""
        draws = random.Random(f"{self._seed} {path}")
        return None if draws.random() < FINE_RATIO else draws.choice(FAULTS)

    def _is_dead(self, host: str) -> bool:
        if not host.startswith("dying"):
            return False
        self._asked[host] = self._asked.get(host, 0) + 1
        return self._asked[host] > DIES_AFTER


def menu() -> str:
    """A line for every path."""
    lines = [f"{path:20} {fault.__doc__}\n" for path, fault in PATHS.items()]
    lines.append(f"{'/random/<n>':20} a picture for most n, any of the above for the others\n")
    return "".join(lines)
