"""Captions in any number that differ from each other, for measuring: the same ones every time.

Words follow Zipf's law, as those of any language do: the commonest are the whole words of the
bundled vocabulary in the order in which they were learnt, the rare ones are put together from two
of its tokens. A caption has 2 to 30 words, some of them capitalised, with punctuation, numbers, a
letter with an accent or another script, in about the proportions of alternative texts on the web.
"""

import functools

import numpy as np
import numpy.typing as npt

from tokens.bundled import BUNDLED, TEXT_FILE, locate
from tokens.vocabulary import NUM_BYTES, Vocabulary

WORDS = 150_000
OTHERS = (
    "café",
    "São Paulo",
    "№ 5",
    "日本の風景",
    "Москва",
    "50% off!",
    "1920x1080",
    "stock-photo",
)


def make_captions(count: int, seed: int = 2021) -> list[str]:
    """`count` captions, no two alike."""
    draws = np.random.default_rng(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        lengths = np.clip(draws.lognormal(1.9, 0.5, count).astype(int), 2, 30)
        words = make_words()[_zipf(draws, int(lengths.sum()))]
        _decorate(words, draws)
        ends = np.cumsum(lengths)
        found |= dict.fromkeys(
            " ".join(words[end - length : end]) for end, length in zip(ends, lengths, strict=True)
        )
    return list(found)[:count]


@functools.cache
def make_words() -> npt.NDArray[np.object_]:
    """Words, the commonest first."""
    with open(locate(BUNDLED, TEXT_FILE), "rb") as file:
        tokens = Vocabulary.from_json(file.read(), TEXT_FILE).token_bytes()[NUM_BYTES:]
    common = [token.decode() for token in tokens if len(token) > 2]
    draws = np.random.default_rng(0)
    parts = np.array(common, object)[draws.integers(0, len(common), (2 * WORDS, 2))]
    rare = [left + right for left, right in parts]
    return np.array(list(dict.fromkeys(common + rare))[:WORDS], object)


def _zipf(draws: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
    share = 1 / (np.arange(WORDS) + 2.7)  # Mandelbrot's form of the law
    return np.searchsorted(np.cumsum(share / share.sum()), draws.random(count)).clip(0, WORDS - 1)


def _decorate(words: npt.NDArray[np.object_], draws: np.random.Generator) -> None:
    """Make some words in place what the words of a caption are besides lower-case letters."""
    chance = draws.random(len(words))
    for place in np.flatnonzero(chance < 0.30):
        word = words[place]
        if chance[place] < 0.15:
            words[place] = word.capitalize()
        elif chance[place] < 0.22:
            words[place] = word + ",.:!-"[place % 5]
        elif chance[place] < 0.28:
            words[place] = str(int(chance[place] * 1e9) % 2_100)
        else:
            words[place] = OTHERS[place % len(OTHERS)]
