"""The operator's own lists: who asked to be left alone, what nobody may keep, what has to go.

One entry a line; `#` at a line's beginning or after a blank begins a comment.

    https://example.org/picture.jpg    this URL, whatever its fragment            opt-out, purge
    example.org                        this host and every host below it          opt-out, purge
    9f86d081884c7d65...                64 hex digits: SHA-256 of a picture's      all
    d41d8cd98f00b204...                32 hex digits: its MD5                     block
    098f6bcd4621d373...                32 hex digits: a pair_id                   purge
    phash:9f86d081884c7d65 [bits]      what looks like it: see `look_alikes.py`   block, purge
    pdq:f8f8f0cee0f4a84f... [bits]     the same by PDQ                            block, purge

Entries are held in memory, about 100 bytes each for digests, hosts and perceptual hashes (PDQ: 200)
and 200 for URLs: a million digests are 100 MB and a few seconds of reading in every process that
fetches.
"""

import hashlib
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import fsspec

from pipelines.fetching.refused import Refused
from pipelines.purging.tombstones import Tombstones, hosts_above, read_tombstones
from pipelines.web.look_alikes import PDQ, LookAlikes, hash_picture, require_pdqhash
from pipelines.web.urls import host_name, normal_url

_COMMENT = re.compile(r"(^|\s)#.*")
_HEX = re.compile(r"[0-9a-f]+")
_SHA256_CHARS, _MD5_CHARS, _PAIR_ID_CHARS = 64, 32, 32
NO_OPTOUT = "neither a URL (https://...), nor a host (example.org), nor a SHA-256 (64 hex digits)"
NO_DIGEST = (
    "neither a SHA-256 (64 hex digits) nor an MD5 (32 hex digits), nor phash:<16 hex digits> "
    "or pdq:<64 hex digits> with at most 11 or 47 bits"
)
NO_PURGE = (
    "neither a URL (https://...), nor a host (example.org), nor a SHA-256 (64 hex digits), nor a "
    "pair_id (32 hex digits), nor phash:<16 hex digits> or pdq:<64 hex digits>"
)


@dataclass(frozen=True, slots=True)
class EntryList:
    """What one file lists; `name` is the file's, as signals give it."""

    name: str
    urls: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    sha256: set[bytes] = field(default_factory=set)
    md5: set[bytes] = field(default_factory=set)
    pair_ids: set[bytes] = field(default_factory=set)
    looks: LookAlikes = field(default_factory=LookAlikes)

    def __len__(self) -> int:
        digests = len(self.sha256) + len(self.md5) + len(self.pair_ids)
        return len(self.urls) + len(self.hosts) + digests + len(self.looks)


@dataclass(frozen=True, slots=True)
class Lists:
    """Every list of one build."""

    optout: tuple[EntryList, ...] = ()
    block: tuple[EntryList, ...] = ()
    gone: Tombstones = field(default_factory=Tombstones)
    """What has been taken down and must not come back."""

    def refuse_url(self, url: str) -> None:
        """Raise Refused, `tombstoned` or `optout_list`, for a URL or a host that is listed."""
        if self.gone.hold_url(url):
            raise Refused("tombstoned")
        if not self.optout:
            return
        normal = normal_url(url)
        hosts = tuple(hosts_above(normal.raw_host or ""))
        for entries in self.optout:
            if str(normal) in entries.urls:
                raise Refused("optout_list", f"{entries.name}: this URL")
            for host in hosts:
                if host in entries.hosts:
                    raise Refused("optout_list", f"{entries.name}: host {host}")

    def refuse_bytes(self, body: bytes) -> None:
        """Raise Refused, `tombstoned`, `optout_list` or `blocklist_hit`, for listed bytes."""
        if not (self.optout or self.block or self.gone):
            return
        sha256 = hashlib.sha256(body).digest()
        if self.gone.hold_bytes(sha256):
            raise Refused("tombstoned")
        for entries in self.optout:
            if sha256 in entries.sha256:
                raise Refused("optout_list", f"{entries.name}: SHA-256")
        for entries in self.block:
            if sha256 in entries.sha256:
                raise Refused("blocklist_hit", f"{entries.name}: SHA-256")
            if entries.md5 and _md5(body) in entries.md5:
                raise Refused("blocklist_hit", f"{entries.name}: MD5")

    def refuse_picture(self, image: bytes) -> None:
        """Raise Refused, `blocklist_hit`, for a stored picture that looks like a listed one."""
        kinds = frozenset[str]().union(*(entries.looks.kinds for entries in self.block))
        if not kinds:
            return
        from tokens.pixels import read_stored  # of OpenCV: a process that only fetches goes without

        hashes = hash_picture(read_stored(image), kinds)
        for entries in self.block:
            for kind, _distance, _listed in entries.looks.find(hashes):
                raise Refused("blocklist_hit", f"{entries.name}: {kind}")


def load_lists(optout: Sequence[str], block: Sequence[str], tombstones: str = "") -> Lists:
    """Read lists from fsspec URLs; .gz and what else fsspec unpacks by name.

    Args:
        tombstones: a build's folder, whose tombstones hold; "": none do.

    Raises:
        ValueError: a line that is no entry, a file that cannot be read, or a list of PDQ hashes
            without the package for them, named.
    """
    return Lists(
        tuple(_read_list(file, _add_optout, NO_OPTOUT) for file in optout),
        tuple(_read_list(file, _add_blocked, NO_DIGEST) for file in block),
        read_tombstones(tombstones) if tombstones else Tombstones(),
    )


def load_purge_list(file: str) -> EntryList:
    """What has to go out of a build; raises ValueError as `load_lists`."""
    return _read_list(file, _add_purged, NO_PURGE)


def _read_list(file: str, add: Callable[[EntryList, str], bool], otherwise: str) -> EntryList:
    entries = EntryList(file.rstrip("/").rpartition("/")[2])
    try:
        for number, line in enumerate(_lines(file), 1):
            entry = (_COMMENT.sub("", line) if "#" in line else line).strip()
            if entry and not add(entries, entry):
                raise ValueError(f"{file}, line {number}: {entry[:100]!r} is {otherwise}")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as err:
        raise ValueError(f"{file} cannot be read as a list: {err}") from err
    if PDQ in entries.looks.kinds:
        require_pdqhash(file)
    entries.looks.index()
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


def _add_purged(entries: EntryList, entry: str) -> bool:
    text = entry.lower()
    if _HEX.fullmatch(text) and len(text) == _PAIR_ID_CHARS:
        entries.pair_ids.add(bytes.fromhex(text))
        return True
    return entries.looks.add(entry) or _add_optout(entries, entry)


def _add_blocked(entries: EntryList, entry: str) -> bool:
    return entries.looks.add(entry) or _add_digest(entries, entry)


def _add_digest(entries: EntryList, entry: str) -> bool:
    text = entry.lower()
    digests = {_SHA256_CHARS: entries.sha256, _MD5_CHARS: entries.md5}
    if _HEX.fullmatch(text) is None or len(text) not in digests:
        return False
    digests[len(text)].add(bytes.fromhex(text))
    return True


def _md5(body: bytes) -> bytes:
    return hashlib.md5(body, usedforsecurity=False).digest()
