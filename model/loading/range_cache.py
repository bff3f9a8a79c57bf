"""A folder of parts of remote files, with a limit on its size.

An entry appears by a rename, whole; what is damaged all the same (a machine that lost its power)
is found by the page checksums of whoever reads it, who then calls `forget`. Several processes may
share a folder: one fetches an entry while the others wait for it, by locks that die with their
holder. Over the limit those entries go that nobody has read for longest, leftovers of a crash
among them.
"""

import contextlib
import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import xxhash

NUM_LOCKS = 64
"""Lock files: two entries that share one wait for each other, which costs little."""

logger = logging.getLogger(__name__)


class RangeCache:
    """Bytes by name, kept in a local folder."""

    def __init__(self, folder: str, max_bytes: int) -> None:
        """
        Raises:
            ValueError: the folder cannot be made or written.
        """
        self._entries, self._locks = Path(folder) / "entries", Path(folder) / "locks"
        self._max_bytes = max_bytes
        self._warned = False
        try:
            for path in (self._entries, self._locks):
                path.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise ValueError(f"cache folder {folder} cannot be made: {err}") from err

    def get(self, name: str, size: int, fetch: Callable[[], bytes]) -> bytes:
        """The entry, from the folder or else from `fetch`, and then kept.

        Args:
            size: of the entry, bytes; one of another size is not the entry.
        """
        found = self._find(name, size)
        if found is not None:
            return found
        with self._locked(f"{xxhash.xxh3_64_intdigest(name.encode()) % NUM_LOCKS:02d}"):
            found = self._find(name, size)  # another process may have fetched it meanwhile
            if found is None:
                found = fetch()
                self._keep(name, found)
            return found

    def forget(self, name: str) -> bool:
        """Throw an entry away; False where there is none."""
        try:
            (self._entries / name).unlink()
        except FileNotFoundError:
            return False
        return True

    def _find(self, name: str, size: int) -> bytes | None:
        path = self._entries / name
        try:
            found = path.read_bytes()
            os.utime(path)  # read just now: the last to go
        except FileNotFoundError:
            return None
        return found if len(found) == size else None

    def _keep(self, name: str, data: bytes) -> None:
        if len(data) > self._max_bytes:
            return
        temporary = self._entries / f".{name}.{os.getpid()}.{threading.get_ident()}"
        try:
            temporary.write_bytes(data)
            temporary.replace(self._entries / name)
            with self._locked("limit"):
                self._remove_oldest()
        except OSError as err:  # a full disk: the run needs the bytes, not the copy of them
            temporary.unlink(missing_ok=True)
            if not self._warned:
                logger.warning("%s: nothing more is kept (%s)", self._entries.parent, err)
            self._warned = True

    def _remove_oldest(self) -> None:
        entries = []
        for entry in os.scandir(self._entries):
            with contextlib.suppress(FileNotFoundError):  # renamed or forgotten meanwhile
                status = entry.stat()
                entries.append((status.st_mtime_ns, status.st_size, entry.path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self._max_bytes:
                return
            Path(path).unlink(missing_ok=True)
            total -= size

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with (self._locks / name).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
