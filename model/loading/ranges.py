"""Parts of files, by URL, from any store that fsspec knows: tried again where the store fails."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from model.loading.range_cache import RangeCache

RETRY_DELAYS_S = (0.5, 2.0, 8.0)
"""Waits between attempts: a busy store answers again within seconds, or not at all."""
GIB = 1 << 30

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How shards are read; nothing here changes what a run computes."""

    prefetch_groups: int = 8
    """Row groups of a remote corpus on their way at once, about 3.7 MB each."""
    cache_dir: str | None = None
    """Local folder in which parts of shards are kept; None: none are."""
    cache_gib: float = 64.0
    """Most that the folder holds, GiB."""
    timeout_s: float = 600.0
    """A batch that has not come by then is an error."""

    def __post_init__(self) -> None:
        if self.prefetch_groups < 1:
            raise ValueError(f"prefetch_groups is {self.prefetch_groups}; it must be at least 1")
        if not self.cache_gib > 0:
            raise ValueError(f"cache_gib is {self.cache_gib}; a cache needs room, in GiB")
        if not self.timeout_s > 0:
            raise ValueError(f"timeout_s is {self.timeout_s}; it must be above 0")


class RangeSource:
    """Reads parts of files that never change. Safe to share between threads."""

    def __init__(self, reading: Reading) -> None:
        self._cache: RangeCache | None = None
        if reading.cache_dir is not None:
            self._cache = RangeCache(reading.cache_dir, int(reading.cache_gib * GIB))
        self.last = ""
        """What was asked for last, for messages."""

    def size(self, url: str) -> int:
        """Bytes of a file.

        Raises:
            FileNotFoundError: it is not there.
            OSError: the store fails again and again.
        """
        filesystem, path = fsspec.url_to_fs(url)
        return int(self._persist(url, lambda: filesystem.size(path)))

    def read(self, url: str, start: int, end: int) -> bytes:
        """Bytes [start, end) of a file, from the store.

        Raises:
            FileNotFoundError: it is not there.
            OSError: the store fails again and again, or gives too few bytes.
        """
        filesystem, path = fsspec.url_to_fs(url)
        where = f"{url}, bytes {start:,} to {end:,}"

        def attempt() -> bytes:
            data: bytes = filesystem.cat_file(path, start=start, end=end)
            if len(data) != end - start:
                raise OSError(f"{len(data):,} bytes came instead of {end - start:,}")
            return data

        return self._persist(where, attempt)

    def read_kept(self, url: str, sha256: str, start: int, end: int) -> bytes:
        """As `read`, by way of the cache folder; `sha256` is the file's, its name there."""
        if self._cache is None:
            return self.read(url, start, end)
        name = _entry_name(sha256, start, end)
        return self._cache.get(name, end - start, lambda: self.read(url, start, end))

    def forget(self, sha256: str, start: int, end: int) -> bool:
        """Drop a damaged part from the cache folder; False where it was not kept there."""
        return self._cache is not None and self._cache.forget(_entry_name(sha256, start, end))

    def waits(self, url: str) -> bool:
        """Reading takes long enough to be begun early."""
        return self._cache is not None or not isinstance(fsspec.url_to_fs(url)[0], LocalFileSystem)

    def _persist(self, where: str, attempt: Callable[[], Answer]) -> Answer:
        self.last = where
        for delay_s in RETRY_DELAYS_S:
            try:
                return attempt()
            except FileNotFoundError:
                raise
            except Exception:  # every store has exceptions of its own
                time.sleep(delay_s)
        try:
            return attempt()
        except FileNotFoundError:
            raise
        except Exception as err:
            raise OSError(
                f"{where} could not be read in {len(RETRY_DELAYS_S) + 1} attempts; the last one's "
                f"error: {type(err).__name__}: {err}"
            ) from err


class RangeFile(io.RawIOBase):
    """A file of which one part is at hand, at its true offsets: what Parquet's reader asks for."""

    def __init__(self, data: bytes, start: int, size: int) -> None:
        """
        Args:
            data: the part.
            start: where in the file it begins.
            size: of the whole file, bytes.
        """
        self._data, self._start, self._size = memoryview(data), start, size
        self._position = 0

    def size(self) -> int:
        return self._size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def read_buffer(self, size: int) -> memoryview:
        """The next bytes, not copied."""
        first = self._position - self._start
        if not 0 <= first <= first + size <= len(self._data):
            raise OSError(f"bytes {self._position:,} and {size:,} more are not at hand")
        self._position += size
        return self._data[first : first + size]

    def read(self, size: int = -1) -> bytes:
        return bytes(self.read_buffer(self._size - self._position if size < 0 else size))


def _entry_name(sha256: str, start: int, end: int) -> str:
    return f"{sha256}-{start}-{end}"
