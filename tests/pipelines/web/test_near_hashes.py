"""Every hash within the distance is found, whatever its bits: against a look at all of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.web.near_hashes import NearHashes


def flip(digest: bytes, bits: list[int]) -> bytes:
    number = int.from_bytes(digest, "big")
    for bit in bits:
        number ^= 1 << bit
    return number.to_bytes(len(digest), "big")


def distance(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count()


def draw(rows: int, size: int, seed: int) -> list[bytes]:
    bits = np.random.default_rng(seed).integers(0, 256, (rows, size), np.uint8)
    return [row.tobytes() for row in bits]


@pytest.mark.parametrize(("size", "furthest"), [(8, 0), (8, 3), (8, 11), (32, 31), (32, 47)])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_finds_all_that_a_look_at_every_one_finds(
    size: int, furthest: int, data: st.DataObject
) -> None:
    hashes = draw(20, size, 0)
    bits = st.lists(st.integers(0, 8 * size - 1), max_size=furthest + 2, unique=True)
    hashes += [flip(hashes[i], data.draw(bits)) for i in range(8)]
    asked = flip(hashes[data.draw(st.integers(0, 27))], data.draw(bits))

    found = NearHashes(hashes, furthest).find(asked)

    assert found.tolist() == [i for i, one in enumerate(hashes) if distance(one, asked) <= furthest]


def test_crowded_bands_lose_nothing() -> None:
    """A list of nearly equal hashes: every one is in the same places."""
    hashes = [flip(bytes(8), [bit]) for bit in range(64)] * 3

    assert len(NearHashes(hashes, 2).find(bytes(8))) == 192
    assert NearHashes(hashes, 2).find(b"\xff" * 8).tolist() == []


@pytest.mark.parametrize("hashes", [[bytes(8)], [bytes(8)] * 2])
def test_counts_what_is_listed(hashes: list[bytes]) -> None:
    assert len(NearHashes(hashes, 3)) == len(hashes)
