"""What a long run holds while it rests between two rounds, and whether that grows."""

import asyncio
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from tests.pipelines.decoding.decoder_children import children

WARM_UP_RATIO = 0.2
"""Of the samples: imports, caches and the allocator's first arenas."""
MIN_JUDGED_S = 180.0
"""A slope over less time says more of the allocator than of a leak."""
MAX_SLOPE_MB_PER_MIN = 1.0
MAX_MORE = {"descriptors": 10, "threads": 2, "tasks": 5, "children": 0}
"""By how much the end may hold more than the beginning: kept connections come and go."""
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Sample:
    """What this process holds at one moment."""

    at_s: float
    rows: int
    own_mb: float
    """Resident memory of this process."""
    children_mb: float
    """Resident memory of its children, the decoders."""
    descriptors: int
    threads: int
    tasks: int
    """Of the event loop."""
    children: int

    def line(self) -> str:
        return " ".join(f"{getattr(self, field.name):>12.6g}" for field in fields(self))


HEADER = " ".join(f"{field.name:>12}" for field in fields(Sample))


def take_sample(
    started: float, rows: int, loop: asyncio.AbstractEventLoop, other_pid: int
) -> Sample:
    """Look at this process; in a quiet moment, or what is under way counts as well.

    Args:
        other_pid: a child that is not to be counted.
    """
    alive = [pid for pid in children() if pid != other_pid and _resident_mb(pid) is not None]
    return Sample(
        time.monotonic() - started,
        rows,
        _resident_mb(os.getpid()) or 0.0,
        sum(_resident_mb(pid) or 0.0 for pid in alive),
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
        len(asyncio.all_tasks(loop)),
        len(alive),
    )


def complaints(samples: Sequence[Sample]) -> list[str]:
    """What grows and must not."""
    after = samples[int(len(samples) * WARM_UP_RATIO) :]
    found = []
    slope = slope_mb_per_min(samples)
    if slope is not None and slope >= MAX_SLOPE_MB_PER_MIN:
        found.append(f"memory grows by {slope:.2f} MB a minute")
    third = max(1, len(after) // 3)
    for name, more in MAX_MORE.items():
        first, last = (
            np.median([getattr(one, name) for one in part])
            for part in (after[:third], after[-third:])
        )
        if last > first + more:
            found.append(f"{name}: {first:.0f} at first, {last:.0f} at last")
    return found


def slope_mb_per_min(samples: Sequence[Sample]) -> float | None:
    """Growth of resident memory, decoders included, after the warm-up; None: too short to say."""
    after = samples[int(len(samples) * WARM_UP_RATIO) :]
    if after[-1].at_s - after[0].at_s < MIN_JUDGED_S:
        return None
    minutes = [one.at_s / 60 for one in after]
    return float(np.polyfit(minutes, [one.own_mb + one.children_mb for one in after], 1)[0])


def _resident_mb(pid: int) -> float | None:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return None
    return pages * PAGE_BYTES / 1e6
