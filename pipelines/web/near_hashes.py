"""Which of many hashes lie within a few bits of one, without a look at most of them.

Hashes are cut into bands of 16 bits. Of two that differ in d bits of n bands, one band differs in
at most d // n bits (the pigeonhole principle; Norouzi, Punjani and Fleet 2012, "Fast Search in
Hamming Space with Multi-Index Hashing"), so only hashes that share a band up to so many bits are
compared: every hash within the distance is found, and few others are touched.
"""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

BAND_BITS = 16
BAND_VALUES = 1 << BAND_BITS
MAX_BAND_FLIPS = 2
"""Bits that a band may differ in: 137 places to look at in each band."""

_POPULATION = np.bitwise_count(np.arange(BAND_VALUES, dtype=np.uint16))


class NearHashes:
    """Hashes of one length that are looked for within one distance.

    Takes 2 bytes and 4 more for each band of each hash, and 256 KiB for each band.

    Args:
        hashes: a multiple of two bytes each, all of one length; at least one.
        max_distance: bits; below three times the number of bands.
    """

    def __init__(self, hashes: Sequence[bytes], max_distance: int) -> None:
        self._codes = _cut(b"".join(hashes), len(hashes))
        bands = self._codes.shape[1]
        self._flips = _flips(max_distance // bands)
        self._max_distance = max_distance
        order = [np.argsort(column, kind="stable") for column in self._codes.T]
        values = np.arange(BAND_VALUES + 1)
        starts = [
            np.searchsorted(column[places], values)
            for column, places in zip(self._codes.T, order, strict=True)
        ]
        self._order = np.array(order, np.uint32)
        self._starts = np.array(starts, np.uint32)

    def __len__(self) -> int:
        return len(self._codes)

    def find(self, digest: bytes) -> npt.NDArray[np.intp]:
        """Places of all hashes within the distance of `digest`, ascending."""
        (code,) = _cut(digest, 1)
        near = [part for band in range(len(code)) for part in self._near_in(band, code[band])]
        if not near:
            return np.empty(0, np.intp)
        places = np.concatenate(near)
        distances = _POPULATION[self._codes[places] ^ code].sum(axis=1, dtype=np.uint16)
        return np.unique(places[distances <= self._max_distance]).astype(np.intp)

    def _near_in(self, band: int, value: np.uint16) -> Iterator[npt.NDArray[np.uint32]]:
        """Places of the hashes that agree with `value` in a band up to the flips."""
        order, values = self._order[band], (self._flips ^ value).astype(np.intp)
        starts, stops = self._starts[band][values].tolist(), self._starts[band][values + 1].tolist()
        return (order[a:b] for a, b in zip(starts, stops, strict=True) if b > a)


def _cut(data: bytes, rows: int) -> npt.NDArray[np.uint16]:
    """[rows, bands]"""
    return np.frombuffer(data, ">u2").reshape(rows, -1).astype(np.uint16)


@cache
def _flips(most: int) -> npt.NDArray[np.uint16]:
    """Every value of a band with at most so many bits set."""
    assert most <= MAX_BAND_FLIPS
    return np.flatnonzero(most >= _POPULATION).astype(np.uint16)
