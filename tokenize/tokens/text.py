"""Captions to BPE ids and back, as the paper's author described it (openai/DALL-E issue 22).

A caption is lower-cased; only runs of the letters a-z are merged; every other byte of its
UTF-8 form (digits, punctuation, spaces, other scripts) is an id of its own. So nothing is
unknown, and the ids of any caption give back its lower-cased form.

A run's ids depend on the run alone, so they are looked up: Hugging Face `tokenizers` sees
each distinct run once.
"""

import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import fsspec
import numpy as np
from tokenizers import Tokenizer

from tokens.bundled import BUNDLED, TEXT_FILE, locate
from tokens.draw import keyed_generator
from tokens.dropout import Skips, merge_with_skips
from tokens.vocabulary import MAX_RUN_LETTERS, NUM_BYTES, Vocabulary

MAX_TOKENS = 256
"""The caption's share of the sequence (Ramesh et al. 2021, section 2.2)."""
MAX_KNOWN_PIECES = 1 << 17
"""Distinct runs whose ids are remembered: about 25 MB."""

PIECE = re.compile(rb"[a-z]{1,%d}|[^a-z]" % MAX_RUN_LETTERS)


@dataclass(frozen=True, slots=True)
class TextTokens:
    """The ids of several captions: caption i has ids[offsets[i]:offsets[i + 1]]."""

    ids: np.ndarray
    """uint16, without padding."""
    offsets: np.ndarray
    """int64, one more than there are captions."""
    truncated: np.ndarray
    """bool per caption: it had more than `max_tokens` ids and lost the rest."""


def lower_cased(caption: str) -> str:
    """The form of a caption that its ids stand for: `str.lower` of well-formed text.

    A pair of surrogates (left over from careless JSON) becomes the character that it means,
    a surrogate without its partner U+FFFD. Nothing else is altered: no Unicode normalisation,
    no stripping, NUL and line breaks stay.

    >>> lower_cased("Ein ROTES Auto\\ud83d")
    'ein rotes auto\ufffd'
    """
    return caption.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").lower()


class TextTokenizer:
    """BPE with one fixed vocabulary. Safe to share between threads."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        file = vocabulary.to_json()
        self.vocab_size = vocabulary.size
        self.sha256 = hashlib.sha256(file).hexdigest()
        self._token_bytes = vocabulary.token_bytes()
        self._merged_ids = vocabulary.merged_ids()
        self._longest = min(MAX_RUN_LETTERS, max(map(len, self._token_bytes)))
        self._piece_ids = _PieceIds(Tokenizer.from_str(file.decode()).model)

    def encode(
        self,
        captions: Sequence[str],
        *,
        max_tokens: int = MAX_TOKENS,
        dropout: float = 0.0,
        keys: Sequence[bytes] | None = None,
        seed: int = 0,
    ) -> TextTokens:
        """The ids of each caption, cut after `max_tokens`.

        Any string is encoded; see `lower_cased` for what its ids stand for. A cut may fall
        inside a word or a character.

        Args:
            dropout: probability in [0, 1] that a merge is skipped at a step; the paper trains
                with 0.1 (section 2.2, footnote 5). 0 is plain BPE, 1 leaves single bytes.
            keys: with dropout, one key per caption, its `pair_id`. A caption's ids depend on
                its text, key and seed, and on nothing else.
            seed: the recipe's seed; another seed draws other skips.
        """
        if max_tokens < 1:
            raise ValueError(f"max_tokens is {max_tokens}; a caption needs room for at least 1")
        if not 0.0 <= dropout <= 1.0:
            raise ValueError(f"dropout is {dropout}; it is a probability, from 0 to 1")
        texts = [self._utf8(caption, max_tokens) for caption in captions]
        if dropout == 0.0:
            return _cut([self._encode_plainly(text) for text in texts], max_tokens)
        if keys is None or len(keys) != len(captions):
            raise ValueError(
                f"dropout needs one key per caption: {len(captions)} captions, "
                f"{0 if keys is None else len(keys)} keys"
            )
        rows = []
        for text, key in zip(texts, keys, strict=True):
            skips = Skips(keyed_generator(key, "bpe_dropout", seed), dropout)
            rows.append(self._encode_with_skips(text, skips))
        return _cut(rows, max_tokens)

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of one caption's ids; a character that lost bytes to the cut shows as U+FFFD."""
        outside = [index for index in map(int, ids) if not 0 <= index < self.vocab_size]
        if outside:
            raise ValueError(
                f"id {outside[0]} is no text id: the vocabulary has {self.vocab_size}; "
                "leave padding out"
            )
        return b"".join(self._token_bytes[index] for index in ids).decode(errors="replace")

    def _utf8(self, caption: str, max_tokens: int) -> bytes:
        """The caption's lower-cased bytes, up to the last that can matter to `max_tokens` ids."""
        try:
            text = caption.lower().encode()
        except UnicodeEncodeError:  # a surrogate
            text = lower_cased(caption).encode()
        # No id stands for more than `_longest` bytes, and the last id's run must be whole.
        return text[: self._longest * max_tokens + MAX_RUN_LETTERS]

    def _encode_plainly(self, text: bytes) -> bytes:
        return b"".join(map(self._piece_ids.__getitem__, PIECE.findall(text)))

    def _encode_with_skips(self, text: bytes, skips: Skips) -> bytes:
        rows = []
        for piece in PIECE.findall(text):
            plain = self._piece_ids[piece]
            num_merges = len(piece) - len(plain) // 2
            if not num_merges or skips.take_if_none(num_merges):
                rows.append(plain)
            else:
                rows.append(_packed(merge_with_skips(list(piece), self._merged_ids, skips)))
        return b"".join(rows)


def load_text_tokenizer(path: str) -> TextTokenizer:
    """The tokenizer of a vocabulary file.

    Args:
        path: "bundled" for the one in this package, or a file or fsspec URL.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no vocabulary of ours.
    """
    filesystem, name = fsspec.url_to_fs(locate(path, TEXT_FILE))
    try:
        data: bytes = filesystem.cat_file(name)
    except (FileNotFoundError, IsADirectoryError):
        raise FileNotFoundError(
            f"text tokenizer {path} is not there: make one with tokenize/train_text.py, "
            f"or pass --text_tokenizer {BUNDLED}"
        ) from None
    return TextTokenizer(Vocabulary.from_json(data, path))


class _PieceIds(dict[bytes, bytes]):
    """The plain ids of each run met so far, and of every byte, packed as little-endian uint16.

    When it is full it stays as it is: later runs are encoded each time.
    """

    def __init__(self, model: Any) -> None:
        super().__init__((bytes((byte,)), _packed([byte])) for byte in range(NUM_BYTES))
        self._model = model

    def __missing__(self, piece: bytes) -> bytes:
        ids = _packed([token.id for token in self._model.tokenize(piece.decode())])
        if len(self) < MAX_KNOWN_PIECES:
            self[piece] = ids
        return ids


def _packed(ids: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(ids)}H", *ids)


def _cut(rows: Sequence[bytes], max_tokens: int) -> TextTokens:
    lengths = np.array([len(row) // 2 for row in rows], np.int64)
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(np.minimum(lengths, max_tokens), out=offsets[1:])
    ids = np.frombuffer(b"".join(row[: 2 * max_tokens] for row in rows), "<u2")
    return TextTokens(ids.astype(np.uint16), offsets, lengths > max_tokens)
