"""Plain BPE of many captions in a few calls: each distinct word of a batch is merged once.

Words repeat, and what a word's ids are depends on the word alone. So Arrow cuts the captions at
their spaces and numbers the distinct words, tiktoken's core merges those in one call, and the
ids are gathered by number: nothing in Python happens per word. Of 10,000 captions that all
differ a quarter of the words are distinct, and no memory is kept from one batch to the next.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tiktoken import Encoding

SPACE = ord(" ")
MAX_LETTERS_AT_ONCE = 1 << 22
"""A batch with more is worked off in parts: about 100 MB of arrays each."""

Ids = npt.NDArray[np.uint16]
Offsets = npt.NDArray[np.int64]


class PlainBpe:
    """Merges of one vocabulary, made wherever they can be. Safe to share between threads."""

    def __init__(self, ranks: Mapping[bytes, int], pieces: str) -> None:
        """
        Args:
            ranks: each token's id, the lower the sooner it is merged. `reachable_ranks` says
                which tokens may be in it.
            pieces: regular expression of what is merged as one; a space is a piece of its own
                or has no merge.
        """
        self._encoding = Encoding(
            "pairmill", pat_str=pieces, mergeable_ranks=dict(ranks), special_tokens={}
        )

    def encode(self, texts: Sequence[str]) -> tuple[Ids, Offsets]:
        """The ids of all texts, one after another, and one offset more than there are texts."""
        parts = [self._encode_part(part) for part in cut_by_letters(texts)]
        lengths = np.concatenate([np.diff(offsets) for _, offsets in parts])
        return np.concatenate([ids for ids, _ in parts]), make_offsets(lengths)

    def encode_piece(self, text: str) -> Ids:
        """The ids of a short text: cheaper than a batch of one."""
        ids: Ids = self._encoding.encode_to_numpy(text, disallowed_special=()).astype(np.uint16)
        return ids

    def _encode_part(self, texts: Sequence[str]) -> tuple[Ids, Offsets]:
        words = pc.split_pattern(pa.array(texts, pa.string()), " ")
        numbered = words.values.dictionary_encode()
        known = self.encode_piece(" ".join([*numbered.dictionary.to_pylist(), ""]))
        starts = np.append(0, np.flatnonzero(known == SPACE) + 1)  # each word, its space behind it
        numbers = numbered.indices.to_numpy()
        lengths = np.diff(starts)[numbers]
        ends = make_offsets(lengths)[
            words.offsets.to_numpy()
        ]  # of each text, and the first's start
        ids = take_ranges(known, starts[numbers], lengths)
        return np.delete(ids, ends[1:] - 1), ends - np.arange(len(ends))  # without the last space


def cut_by_letters(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """`texts` in parts of about `MAX_LETTERS_AT_ONCE`; a longer text is a part of its own."""
    total = np.cumsum([len(text) for text in texts], dtype=np.int64)
    cuts = np.flatnonzero(np.diff(total // MAX_LETTERS_AT_ONCE)) + 1
    for start, stop in zip([0, *cuts], [*cuts, len(texts)], strict=True):
        yield texts[start:stop]


def make_offsets(lengths: npt.NDArray[np.int64]) -> Offsets:
    """Where each range starts when they stand one after another, and where the last one ends."""
    return np.append(0, np.cumsum(lengths, dtype=np.int64))


def take_ranges(ids: Ids, starts: Offsets, lengths: npt.NDArray[np.int64]) -> Ids:
    """`ids[start:start + length]` of each range, one after another.

    >>> take_ranges(np.array([7, 8, 9], np.uint16), np.array([1, 0]), np.array([2, 1]))
    array([8, 9, 7], dtype=uint16)
    """
    offsets = make_offsets(lengths)
    source = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    taken: Ids = ids[source]
    return taken


def reachable_ranks(
    merged: Sequence[bytes], reference: Callable[[bytes], Sequence[int]], *, first: int
) -> dict[bytes, int]:
    """The tokens among `merged` that merges can ever make, with their ids from `first` on.

    tiktoken joins any two neighbours that make a token, `tokenizers` only the two that its list
    of merges names. Inside a token that its own merges make, no other two neighbours can ever
    stand: its letters are joined in one order, whatever is around it. So the two agree where
    the tokens that their own merges do not make are left out, and those are in no caption's ids.

    Args:
        reference: the ids of a token's bytes by the list of merges.
    """
    return {
        token: index for index, token in enumerate(merged, first) if reference(token) == [index]
    }
