"""One driver at a time: a lock file with host, process and expiry in the build's folder.

On a disk two drivers that begin at the same instant are told apart by the kernel (the folder is
locked while a driver looks and writes its name). On an object store the one that wrote last has
it: each reads back what it wrote.
"""

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pipelines.commit import put_text
from pipelines.doors import BadInput
from tokens.manifest import join_url

EXPIRY_S = 120.0
"""A lock that nobody has renewed for so long is dead."""
LOCK_NAME = "lock.json"
JOURNAL_NAME = "purge.json"
"""Beside the stages' folders for as long as a purge is under way."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock, and until when (seconds since 1970)."""

    host: str
    process: int
    expires: float

    def is_me(self) -> bool:
        return (self.host, self.process) == (socket.gethostname(), os.getpid())

    def alive(self) -> bool:
        if self.expires < time.time():
            return False
        return self.host != socket.gethostname() or _process_runs(self.process)


def _process_runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def hold_lock(directory: str, *, purging: bool = False) -> Iterator[None]:
    """Hold the lock of a build's folder, renewing it, until the block ends.

    Args:
        purging: a purge that was broken off is no hindrance: it is going to be finished.

    Raises:
        BadInput: a living driver holds it (the message names host and process), or a purge of the
            folder was broken off.
    """
    url = join_url(directory, LOCK_NAME)
    filesystem, path = fsspec.url_to_fs(url)
    with _alone(filesystem, fsspec.url_to_fs(directory)[1]):
        _refuse_living(filesystem, path, directory)
        if not purging:
            _refuse_half_purged(filesystem, directory)
        _renew(url)
    _refuse_later(filesystem, path, directory)
    done = threading.Event()
    thread = threading.Thread(target=_keep_renewing, args=(url, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        holder = _read_holder(filesystem, path)
        if holder is not None and holder.is_me():
            filesystem.rm_file(path)


@contextlib.contextmanager
def _alone(filesystem: Any, folder: str) -> Iterator[None]:
    """No other driver of this machine looks at the lock meanwhile."""
    if not isinstance(filesystem, LocalFileSystem):
        yield
        return
    os.makedirs(folder, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a network's file system may have no such locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read_holder(filesystem: Any, path: str) -> Holder | None:
    """Who holds the lock; None where nobody does, or it cannot be read."""
    try:
        return Holder(**json.loads(filesystem.cat_file(path)))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _refuse_living(filesystem: Any, path: str, directory: str) -> None:
    holder = _read_holder(filesystem, path)
    if holder is not None and holder.alive():
        raise _in_use(directory, holder)


def _refuse_later(filesystem: Any, path: str, directory: str) -> None:
    """Another driver has written its name over ours."""
    holder = _read_holder(filesystem, path)
    if holder is not None and not holder.is_me():
        raise _in_use(directory, holder)


def _in_use(directory: str, holder: Holder) -> BadInput:
    return BadInput(
        f"{directory} is in use by process {holder.process} on {holder.host}: "
        "wait until it ends, or stop it"
    )


def _refuse_half_purged(filesystem: Any, directory: str) -> None:
    if filesystem.exists(fsspec.url_to_fs(join_url(directory, JOURNAL_NAME))[1]):
        raise BadInput(
            f"a purge of {directory} was broken off, and parts of it still hold what has to go: "
            f"python -m pipelines.purge {directory} finishes it"
        )


def _renew(url: str) -> None:
    holder = Holder(socket.gethostname(), os.getpid(), time.time() + EXPIRY_S)
    put_text(url, json.dumps(asdict(holder)) + "\n")


def _keep_renewing(url: str, done: threading.Event) -> None:
    while not done.wait(EXPIRY_S / 4):
        with contextlib.suppress(OSError):  # a full disk may have room again before it expires
            _renew(url)
