"""A folder of pictures, each with its caption beside it: cat.jpg and cat.txt, at any depth.

A picture without a caption is a row without one. Links to folders are not walked; a link to a
picture is a row, and whether it leads out of the folder is seen when it is read.
"""

import hashlib
from collections.abc import Iterator

import fsspec

from pipelines.inputs.plain_files import read_below
from pipelines.inputs.source import Row, Source
from pipelines.inputs.source_rows import THIS_FOLDER
from pipelines.inputs.source_tables import MAX_FIELD_BYTES
from tokens.manifest import join_url

PICTURE_ENDINGS = frozenset(
    ("jpg", "jpeg", "png", "webp", "gif")  # those that are decoded
    + ("bmp", "tif", "tiff", "avif", "heic", "heif", "jxl", "jp2", "svg")  # and those told of
)
CAPTION_ENDING = ".txt"
BLOCK_BYTES = 1 << 22


def read_picture_folder(source: Source) -> Iterator[Row]:
    """A row for each picture, in the order of their names: a folder's files, then its folders.

    Raises:
        ValueError: there is no picture, or a caption is no caption by its size.
    """
    for name in list_pictures(source.url):
        yield Row(
            source.place_of(name),
            _read_caption(source.url, name),
            shard=THIS_FOLDER,
            member=f"file:{name}",
        )


def list_pictures(url: str) -> Iterator[str]:
    """Names below the folder; raises ValueError where there is none."""
    filesystem, path = fsspec.url_to_fs(url)
    names = _walk(filesystem, path.rstrip("/"), "")
    first = next(names, None)
    if first is None:
        raise ValueError(
            f"{url} is a folder without any NNNNN.parquet of img2dataset's, and without a picture: "
            "--input takes a file, a pattern such as DIR/*.parquet, a folder of pictures, or a "
            "folder that img2dataset wrote"
        )
    yield first
    yield from names


def _walk(filesystem: fsspec.AbstractFileSystem, path: str, below: str) -> Iterator[str]:
    folders = []
    for info in sorted(filesystem.ls(path, detail=True), key=_name):
        name = info["name"].rstrip("/").rpartition("/")[2]
        if info["type"] == "directory" and not info.get("islink"):
            folders.append((info["name"].rstrip("/"), f"{below}{name}/"))
        elif is_picture(name) and info["type"] != "directory":
            yield below + name
    for folder, name in folders:
        yield from _walk(filesystem, folder, name)


def _name(info: dict[str, str]) -> str:
    return info["name"]


def is_picture(name: str) -> bool:
    """By how a file's name ends."""
    return "." in name and name.rpartition(".")[2].lower() in PICTURE_ENDINGS


def _read_caption(url: str, picture: str) -> bytes | None:
    caption = picture.rpartition(".")[0] + CAPTION_ENDING
    content = read_below(url, caption, MAX_FIELD_BYTES).content
    if content is not None and len(content) > MAX_FIELD_BYTES:
        raise ValueError(
            f"{join_url(url, caption)} is longer than {MAX_FIELD_BYTES} bytes: no caption is"
        )
    return None if content is None else content.strip()


def hash_picture_folder(url: str) -> str:
    """SHA-256 over each picture's name, bytes and caption; reads them all."""
    digest = hashlib.sha256()
    for name in list_pictures(url):
        digest.update(f"{name}\0".encode("utf-8", "surrogateescape"))
        add_picture(digest, url, name)
        digest.update(b"\0" + (_read_caption(url, name) or b"") + b"\0")
    return digest.hexdigest()


def add_picture(digest: "hashlib._Hash", folder: str, name: str) -> None:
    """Add a picture's own digest, or why it cannot be read, which its row will end by."""
    opened = read_below(folder, name, MAX_PICTURE_BYTES)
    digest.update(hashlib.sha256(opened.content or opened.fault.encode()).digest())


MAX_PICTURE_BYTES = (1 << 31) - 1
"""What `[fetch] max_bytes` may be at most: what is behind cannot become a pair."""
