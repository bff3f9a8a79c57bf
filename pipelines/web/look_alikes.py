"""Listed pictures, known by perceptual hashes: copies that were scaled or compressed again count.

    phash:<16 hex digits> [bits]   our own 64-bit hash: the signal `phash`, as hex digits
    pdq:<64 hex digits> [bits]     PDQ (Meta 2019, "The TMK+PDQF Video-Hashing Algorithm and the
                                   PDQ Image-Hashing Algorithm"), as ThreatExchange writes it

`bits` is how many may differ: 3 of 64 unless given, and 31 of 256, which is PDQ's own threshold.
Both are taken of the picture as it is stored. A featureless picture has no PDQ hash.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from pipelines.web.near_hashes import NearHashes


@dataclass(frozen=True, slots=True)
class HashKind:
    """How a kind of perceptual hash is written and compared."""

    hex_digits: int
    bits: int
    """That may differ, unless a line says another number."""
    max_bits: int
    """That a line may name: beyond, unrelated pictures begin to match."""


PHASH, PDQ = "phash", "pdq"
KINDS = {PHASH: HashKind(16, bits=3, max_bits=11), PDQ: HashKind(64, bits=31, max_bits=47)}
MIN_PDQ_QUALITY = 50
"""Of 100; below, the picture has too few features for its hash to mean anything (Meta's advice)."""

_ENTRY = re.compile(r"(phash|pdq):([0-9a-f]+)(?:\s+([0-9]{1,2}))?")


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """The perceptual hashes that one file lists."""

    listed: dict[tuple[str, int], dict[bytes, None]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """By kind and distance, in the order of the file."""
    _indexes: dict[tuple[str, int], tuple[NearHashes, list[bytes]]] = field(default_factory=dict)

    def add(self, entry: str) -> bool:
        """Take in a line; False where it is none of ours."""
        match = _ENTRY.fullmatch(entry.lower())
        if match is None:
            return False
        name, digits, bits = match.groups()
        kind = KINDS[name]
        distance = kind.bits if bits is None else int(bits)
        if len(digits) != kind.hex_digits or distance > kind.max_bits:
            return False
        self.listed[name, distance][bytes.fromhex(digits)] = None
        return True

    def index(self) -> None:
        """Make ready for `find`: once, when all lines are in."""
        for key, hashes in self.listed.items():
            self._indexes[key] = NearHashes(list(hashes), key[1]), list(hashes)

    @property
    def kinds(self) -> frozenset[str]:
        """What must be known of a picture to compare it."""
        return frozenset(name for name, _ in self.listed)

    def __len__(self) -> int:
        return sum(map(len, self.listed.values()))

    def find(self, hashes: Mapping[str, bytes]) -> Iterator[tuple[str, int, bytes]]:
        """The entries that a picture with these hashes looks like."""
        for (name, distance), (near, listed) in self._indexes.items():
            if name in hashes:
                yield from ((name, distance, listed[i]) for i in near.find(hashes[name]))


def hash_picture(pixels: npt.NDArray[np.uint8], kinds: Collection[str]) -> dict[str, bytes]:
    """Perceptual hashes of a stored picture, uint8 [H, W, 3] RGB, by kind."""
    hashes = {}
    if PHASH in kinds:
        from filters.signals.perceptual_hash import perceptual_hash  # of OpenCV, for pictures alone

        hashes[PHASH] = perceptual_hash(pixels).to_bytes(8, "big")
    if PDQ in kinds and (digest := _hash_pdq(pixels)) is not None:
        hashes[PDQ] = digest
    return hashes


def _hash_pdq(pixels: npt.NDArray[np.uint8]) -> bytes | None:
    """32 bytes; None of a picture without features."""
    import pdqhash  # an extra

    bits, quality = pdqhash.compute(pixels)
    return np.packbits(bits).tobytes() if quality >= MIN_PDQ_QUALITY else None


def require_pdqhash(file: str) -> None:
    """Raise ValueError with the way to install it unless pdqhash is there; imports nothing."""
    if find_spec("pdqhash") is None:
        raise ValueError(
            f"{file} lists PDQ hashes, which needs the package pdqhash: "
            "pip install 'pairmill[pdq]' (it compiles C++), or take those lines out"
        )
