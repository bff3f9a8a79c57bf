"""Captions to BPE ids and back, as the paper's author described it (openai/DALL-E issue 22).

A caption is lower-cased; only runs of the letters a-z are merged; every other byte of its
UTF-8 form (digits, punctuation, spaces, other scripts) is an id of its own. So nothing is
unknown, and the ids of any caption give back its lower-cased form.

Hugging Face `tokenizers` reads the vocabulary's file and gives the same ids. Without dropout
tiktoken's core does the merging (`tokens.plain_bpe`), eleven times as fast; with dropout we do,
because neither has a seed for each caption (`tokens.dropout`).
"""

import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import fsspec
import numpy as np
from tokenizers import Tokenizer

from tokens.bundled import BUNDLED, TEXT_FILE, TEXT_SHA256, locate
from tokens.draw import keyed_generator, rekey
from tokens.dropout import Skips, merge_with_skips
from tokens.plain_bpe import PlainBpe, make_offsets, reachable_ranks, take_ranges
from tokens.vocabulary import MAX_FILE_BYTES, MAX_RUN_LETTERS, NUM_BYTES, Vocabulary

MAX_TOKENS = 256
"""The caption's share of the sequence (Ramesh et al. 2021, section 2.2)."""
MAX_KNOWN_PIECES = 1 << 17
"""Distinct runs whose ids are remembered: about 25 MB."""

PIECES = f"[a-z]{{1,{MAX_RUN_LETTERS}}}|[^a-z]+"
PIECE = re.compile(PIECES.encode())


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
        self._plain = PlainBpe(_ranks(file, self._token_bytes), PIECES)
        self._piece_ids = _PieceIds(self._plain)

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
        texts = [self._lowered(caption, max_tokens) for caption in captions]
        if dropout == 0.0:
            return _cut(*self._plain.encode(texts), max_tokens)
        if keys is None or len(keys) != len(captions):
            raise ValueError(
                f"dropout needs one key per caption: {len(captions)} captions, "
                f"{0 if keys is None else len(keys)} keys"
            )
        rows, generator = [], keyed_generator(b"", "bpe_dropout", seed)
        for text, key in zip(texts, keys, strict=True):
            rekey(generator, key, "bpe_dropout", seed)
            rows.append(self._encode_with_skips(text.encode(), Skips(generator, dropout)))
        ids = np.frombuffer(b"".join(rows), "<u2").astype(np.uint16)
        lengths = np.array([len(row) // 2 for row in rows], np.int64)
        return _cut(ids, make_offsets(lengths), max_tokens)

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of one caption's ids; a character that lost bytes to the cut shows as U+FFFD."""
        outside = [index for index in map(int, ids) if not 0 <= index < self.vocab_size]
        if outside:
            raise ValueError(
                f"id {outside[0]} is no text id: the vocabulary has {self.vocab_size}; "
                "leave padding out"
            )
        return b"".join(self._token_bytes[index] for index in ids).decode(errors="replace")

    def _lowered(self, caption: str, max_tokens: int) -> str:
        """The caption in lower case, up to the last letter that can matter to `max_tokens` ids."""
        text = caption.lower()
        if not text.isascii():
            text = lower_cased(caption)
        # No id stands for more than `_longest` letters, and the last id's run must be whole.
        return text[: self._longest * max_tokens + MAX_RUN_LETTERS]

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
        ValueError: the file is no vocabulary of ours, or not the one that "bundled" means.
    """
    filesystem, name = fsspec.url_to_fs(locate(path, TEXT_FILE))
    try:
        with filesystem.open(name, "rb") as file:
            data: bytes = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, IsADirectoryError):
        raise FileNotFoundError(
            f"text tokenizer {path} is not there: make one with tokenize/train_text.py, "
            f"or pass --text_tokenizer {BUNDLED}"
        ) from None
    if path == BUNDLED and hashlib.sha256(data).hexdigest() != TEXT_SHA256:
        raise ValueError(f"{name} is not the vocabulary of this package; install pairmill again")
    return TextTokenizer(Vocabulary.from_json(data, path))


def _ranks(file: bytes, token_bytes: Sequence[bytes]) -> dict[bytes, int]:
    """What `PlainBpe` may merge, by the word of `tokenizers`."""
    model = Tokenizer.from_str(file.decode()).model

    def reference(token: bytes) -> list[int]:
        return [part.id for part in model.tokenize(token.decode())]

    merged = reachable_ranks(token_bytes[NUM_BYTES:], reference, first=NUM_BYTES)
    return {bytes((byte,)): byte for byte in range(NUM_BYTES)} | merged


class _PieceIds(dict[bytes, bytes]):
    """The plain ids of each run met so far, packed as little-endian uint16: for dropout.

    When it is full it stays as it is: later runs are encoded each time.
    """

    def __init__(self, plain: PlainBpe) -> None:
        super().__init__()
        self._plain = plain

    def __missing__(self, piece: bytes) -> bytes:
        if not piece.isalpha():  # ids of other bytes are the bytes themselves
            return _packed(piece)
        ids = self._plain.encode_piece(piece.decode()).astype("<u2").tobytes()
        if len(self) < MAX_KNOWN_PIECES:
            self[piece] = ids
        return ids


def _packed(ids: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(ids)}H", *ids)


def _cut(ids: np.ndarray, offsets: np.ndarray, max_tokens: int) -> TextTokens:
    lengths = np.diff(offsets)
    truncated = lengths > max_tokens
    if truncated.any():
        lengths = np.minimum(lengths, max_tokens)
        ids = take_ranges(ids, offsets[:-1], lengths)
        offsets = make_offsets(lengths)
    return TextTokens(ids, offsets, truncated)
