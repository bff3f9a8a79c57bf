"""Random draws that depend on what they are for, never on order, worker or time.

Every choice that a build makes at random (a crop, a dropped merge) takes its own
counter-based generator, keyed by the pair and the purpose of the choice. Two machines
that meet the same pair therefore draw the same numbers, in whatever order they work.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import xxhash


def keyed_generator(key: bytes, purpose: str, seed: int = 0) -> np.random.Generator:
    """A Philox generator for one purpose of one key.

    Args:
        key: what the choice belongs to; a `pair_id` of 16 bytes as a rule.
        purpose: a short constant name, for example "crop" or "bpe_dropout".
        seed: the recipe's seed; another seed gives an independent stream.
    """
    return np.random.Generator(np.random.Philox(key=_digest(key, purpose, seed)))


def rekey(generator: np.random.Generator, key: bytes, purpose: str, seed: int = 0) -> None:
    """Let a `keyed_generator` draw as that of another key: a fifth of what a new one costs."""
    digest = _digest(key, purpose, seed)
    words = np.array([digest & 0xFFFF_FFFF_FFFF_FFFF, digest >> 64], np.uint64)
    generator.bit_generator.state = {
        "bit_generator": "Philox",
        "state": {"counter": np.zeros(4, np.uint64), "key": words},
        "buffer": np.zeros(4, np.uint64),
        "buffer_pos": 4,  # all of the buffer is drawn
        "has_uint32": 0,
        "uinteger": 0,
    }


def _digest(key: bytes, purpose: str, seed: int) -> int:
    return xxhash.xxh3_128(b"\0".join((key, purpose.encode(), str(seed).encode()))).intdigest()


def keyed_uniform(key: bytes, purpose: str, seed: int = 0) -> float:
    """One number in [0, 1) for one purpose of one key: cheaper than a generator."""
    text = b"\0".join((key, purpose.encode(), str(seed).encode()))
    return xxhash.xxh3_64(text).intdigest() / 2**64


def keyed_uniforms(keys: Iterable[bytes], purpose: str, seed: int = 0) -> npt.NDArray[np.float64]:
    """`keyed_uniform` of each key, at half the cost."""
    suffix = b"\0".join((b"", purpose.encode(), str(seed).encode()))
    digest = xxhash.xxh3_64_intdigest
    return np.array([digest(key + suffix) / 2**64 for key in keys], np.float64)
