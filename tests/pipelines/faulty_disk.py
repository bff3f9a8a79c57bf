"""A disk that is full, or a process that ends, from the n-th system call of a commit on.

`Ended` stands for kill -9: it is no `Exception`, and once it is raised every later call raises it
too, so that nothing is tidied up and the disk stays as a killed process leaves it.
"""

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

import pytest

from pipelines import commit


class Ended(BaseException):
    """The process is no more."""


def end(_call: str) -> None:
    raise Ended


def be_full(call: str) -> None:
    if call == "remove":
        return
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if call in ("makedirs", "open", "replace"):
        error.filename = "what it was called with"  # as the kernel's own errors have it
    raise error


@dataclass
class FaultyDisk:
    """Counts system calls; from number `at` (0 is the first) on `fault` is asked about each."""

    at: int | None = None
    fault: Callable[[str], None] = end
    calls: list[str] = field(default_factory=list)
    _lock: Any = field(default_factory=threading.Lock)

    def point(self, call: str) -> None:
        with self._lock:
            self.calls.append(call)
            struck = self.at is not None and len(self.calls) > self.at
        if struck:
            self.fault(call)

    @property
    def struck(self) -> bool:
        return self.at is not None and len(self.calls) > self.at

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Stand between `pipelines.commit` and the disk."""
        for name in ("replace", "remove", "fsync", "makedirs"):
            patch.setattr(os, name, self._watch(name, getattr(os, name)))
        patch.setattr(commit, "open", self._open, raising=False)

    def _watch(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **named: Any) -> Any:
            self.point(name)
            return act(*arguments, **named)

        return watched

    def _open(self, path: str, mode: str) -> "WatchedFile":
        self.point("open")
        return WatchedFile(open(path, mode), self)


WRITES_PER_POINT = 16
"""The first write is a point, and each 16th: Parquet makes many, and one is like another."""


class WatchedFile:
    """A file whose writes and whose end are points, too."""

    def __init__(self, file: IO[bytes], disk: FaultyDisk) -> None:
        self._file, self._disk, self._writes = file, disk, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        if self._writes % WRITES_PER_POINT == 0 or self._disk.struck:
            self._disk.point("write")
        self._writes += 1
        return self._file.write(data)

    def __enter__(self) -> "WatchedFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()  # the kernel closes what a killed process had open
        self._disk.point("close")
