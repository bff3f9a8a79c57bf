"""Files below a folder that a stranger has named: and no name or link leads out of it."""

import os
import stat
from dataclasses import dataclass

import fsspec
from fsspec.implementations.local import LocalFileSystem

from tokens.manifest import join_url


@dataclass(frozen=True, slots=True)
class Opened:
    """What a file holds, or why it was not opened."""

    content: bytes | None = None
    """At most one byte more than was asked for."""
    fault: str = ""


def read_below(folder: str, name: str, max_bytes: int) -> Opened:
    """The content of the file `name` below a folder (an fsspec URL), no more than it takes.

    A name that is absolute, climbs (`..`) or is another address is not tried. On a disk the file
    that it leads to must be a plain one below the folder, whatever links there are on the way; it
    is opened without waiting for a pipe's other end.
    """
    if not is_below(name):
        return Opened(fault="its name leads out of the folder")
    filesystem, root = fsspec.url_to_fs(folder)
    path = join_url(root, *(part for part in name.split("/") if part != "."))
    try:
        if isinstance(filesystem, LocalFileSystem):
            return _read_local(root, path, max_bytes)
        with filesystem.open(path, "rb") as file:
            return Opened(file.read(max_bytes + 1))
    except FileNotFoundError:
        return Opened(fault="not there")
    except (IsADirectoryError, NotADirectoryError, PermissionError, ValueError, OSError) as err:
        return Opened(fault=f"cannot be read: {type(err).__name__}")


def is_below(name: str) -> bool:
    """Whether a name can only mean something below the folder that it is joined to."""
    parts = name.split("/")
    return not ("://" in name or "\\" in name or "\0" in name or {"", ".."} & set(parts))


def leads_out(real: str, root: str) -> bool:
    """Whether a path without links lies anywhere but below the root."""
    return os.path.commonpath([real, root]) != root


def _read_local(root: str, path: str, max_bytes: int) -> Opened:
    real = os.path.realpath(path)
    if leads_out(real, os.path.realpath(root)):
        return Opened(fault="a link leads out of the folder")
    descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return Opened(fault="no plain file")
        return Opened(file.read(max_bytes + 1))
