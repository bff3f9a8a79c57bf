"""A file that appears whole or not at all, for the doors that write one."""

import posixpath

import fsspec


def put_file(url: str, data: bytes) -> None:
    """Write under another name first, so that no half-written file is ever found."""
    filesystem, path = fsspec.url_to_fs(url)
    if (folder := posixpath.dirname(path)) and not filesystem.isdir(folder):
        filesystem.makedirs(folder, exist_ok=True)
    filesystem.pipe_file(f"{path}.part", data)
    filesystem.mv(f"{path}.part", path)
