"""A file that appears whole or not at all, for the doors that write one."""

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import fsspec


def put_file(url: str, data: bytes) -> None:
    """Write a file in one piece."""
    with open_whole(url) as file:
        file.write(data)


@contextmanager
def open_whole(url: str) -> Iterator[IO[bytes]]:
    """A file to write; under another name first, so that no half-written one is ever found."""
    filesystem, path = fsspec.url_to_fs(url)
    if (folder := posixpath.dirname(path)) and not filesystem.isdir(folder):
        filesystem.makedirs(folder, exist_ok=True)
    with filesystem.open(f"{path}.part", "wb") as file:
        yield file
    filesystem.mv(f"{path}.part", path)
