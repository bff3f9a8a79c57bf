"""The operator's own lists: who asked to be left alone, and what nobody may keep.

One entry a line; `#` at a line's beginning or after a blank begins a comment. An opt-out list holds

    https://example.org/picture.jpg    this URL, whatever its fragment
    example.org                        this host and every host below it
    9f86d081884c7d65...                64 hex digits: the SHA-256 of a picture's bytes

and a blocklist SHA-256 or MD5 digests (32 hex digits). Entries are held in memory, about 100 bytes
each for digests and hosts and 200 for URLs: a million digests are 100 MB and a few seconds of
reading in every process that fetches.
"""

import hashlib
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import fsspec

from pipelines.refused import Refused
from pipelines.web.urls import host_name, normal_url

_COMMENT = re.compile(r"(^|\s)#.*")
_HEX = re.compile(r"[0-9a-f]+")
_SHA256_CHARS, _MD5_CHARS = 64, 32
NO_OPTOUT = "neither a URL (https://...), nor a host (example.org), nor a SHA-256 (64 hex digits)"
NO_DIGEST = "neither a SHA-256 (64 hex digits) nor an MD5 (32 hex digits)"


@dataclass(frozen=True, slots=True)
class EntryList:
    """What one file lists; `name` is the file's, as signals give it."""

    name: str
    urls: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    sha256: set[bytes] = field(default_factory=set)
    md5: set[bytes] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Lists:
    """Every list of one build."""

    optout: tuple[EntryList, ...] = ()
    block: tuple[EntryList, ...] = ()

    def refuse_url(self, url: str) -> None:
        """Raise Refused, `optout_list`, for a URL or a host that is listed."""
        if not self.optout:
            return
        normal = normal_url(url)
        hosts = tuple(_host_and_above((normal.raw_host or "").rstrip(".")))
        for entries in self.optout:
            if str(normal) in entries.urls:
                raise Refused("optout_list", f"{entries.name}: this URL")
            for host in hosts:
                if host in entries.hosts:
                    raise Refused("optout_list", f"{entries.name}: host {host}")

    def refuse_bytes(self, body: bytes) -> None:
        """Raise Refused, `optout_list` or `blocklist_hit`, for bytes whose digest is listed."""
        if not (self.optout or self.block):
            return
        sha256 = hashlib.sha256(body).digest()
        for entries in self.optout:
            if sha256 in entries.sha256:
                raise Refused("optout_list", f"{entries.name}: SHA-256")
        for entries in self.block:
            if sha256 in entries.sha256:
                raise Refused("blocklist_hit", f"{entries.name}: SHA-256")
            if entries.md5 and _md5(body) in entries.md5:
                raise Refused("blocklist_hit", f"{entries.name}: MD5")


def load_lists(optout: Sequence[str], block: Sequence[str]) -> Lists:
    """Read lists from fsspec URLs; .gz and what else fsspec unpacks by name.

    Raises:
        ValueError: a line that is no entry, or a file that cannot be read, named.
    """
    return Lists(
        tuple(_read_list(file, _add_optout, NO_OPTOUT) for file in optout),
        tuple(_read_list(file, _add_digest, NO_DIGEST) for file in block),
    )


def _read_list(file: str, add: Callable[[EntryList, str], bool], otherwise: str) -> EntryList:
    entries = EntryList(file.rstrip("/").rpartition("/")[2])
    try:
        for number, line in enumerate(_lines(file), 1):
            entry = (_COMMENT.sub("", line) if "#" in line else line).strip()
            if entry and not add(entries, entry):
                raise ValueError(f"{file}, line {number}: {entry[:100]!r} is {otherwise}")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as err:
        raise ValueError(f"{file} cannot be read as a list: {err}") from err
    return entries


def _lines(file: str) -> Iterator[str]:
    with fsspec.open(file, "rb", compression="infer") as lines:
        for line in lines:
            yield line.decode("utf-8-sig")


def _add_optout(entries: EntryList, entry: str) -> bool:
    text = entry.lower()
    if _HEX.fullmatch(text) and len(text) == _SHA256_CHARS:
        entries.sha256.add(bytes.fromhex(text))
        return True
    if "://" in entry:
        return _add_url(entries, entry)
    host = None if _HEX.fullmatch(text) and len(text) >= _MD5_CHARS else host_name(text)
    if host is not None:
        entries.hosts.add(host)
    return host is not None


def _add_url(entries: EntryList, entry: str) -> bool:
    try:
        entries.urls.add(str(normal_url(entry)))
    except Refused:
        return False
    return True


def _add_digest(entries: EntryList, entry: str) -> bool:
    text = entry.lower()
    digests = {_SHA256_CHARS: entries.sha256, _MD5_CHARS: entries.md5}
    if _HEX.fullmatch(text) is None or len(text) not in digests:
        return False
    digests[len(text)].add(bytes.fromhex(text))
    return True


def _host_and_above(host: str) -> Iterator[str]:
    """A host and the names that it lies below: a.b.org, b.org, org."""
    yield host
    while "." in host:
        host = host.partition(".")[2]
        yield host


def _md5(body: bytes) -> bytes:
    return hashlib.md5(body, usedforsecurity=False).digest()
