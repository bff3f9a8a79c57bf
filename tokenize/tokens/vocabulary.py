"""The text vocabulary and its file: 256 bytes, then one id for each merge of a-z letters.

Ids 0 to 255 are the byte values, and id 256 + n is what the n-th merge makes, so an id says
by itself how early it was learnt. The file is Hugging Face `tokenizers`' own JSON, and
`Tokenizer.from_file` reads it; we write it ourselves so that one vocabulary has one file
and one SHA-256, whatever version of `tokenizers` is installed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

NUM_BYTES = 256
MAX_VOCAB_SIZE = 1 << 16
"""Ids are stored as uint16."""
MAX_RUN_LETTERS = 64
"""A longer run of a-z is cut every so many letters: no word is, and each run's cost is bounded."""
MAX_FILE_BYTES = 1 << 24
"""No more of a file is read: 65,280 merges of 64 letters each take 13 MB."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The merges in the order in which they were learnt; each joins two known tokens of a-z."""

    merges: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        if NUM_BYTES + len(self.merges) > MAX_VOCAB_SIZE:
            raise ValueError(
                f"a vocabulary of {NUM_BYTES + len(self.merges)} ids does not fit uint16: "
                f"at most {MAX_VOCAB_SIZE}"
            )
        known = {chr(letter) for letter in range(ord("a"), ord("z") + 1)}
        for number, (left, right) in enumerate(self.merges):
            merge = f"merge {number}, {left!r} + {right!r},"
            if left not in known or right not in known:
                raise ValueError(f"{merge} joins a token that is not known yet")
            if left + right in known:
                raise ValueError(f"{merge} makes a token that is known already")
            known.add(left + right)

    @property
    def size(self) -> int:
        return NUM_BYTES + len(self.merges)

    def token_bytes(self) -> list[bytes]:
        """What each id stands for."""
        merged = [(left + right).encode() for left, right in self.merges]
        return [bytes((value,)) for value in range(NUM_BYTES)] + merged

    def merged_ids(self) -> dict[tuple[int, int], int]:
        """For each pair of ids that may be joined, the id that it makes: the lower, the sooner."""
        token_bytes = self.token_bytes()
        ids = {token: index for index, token in enumerate(token_bytes)}
        return {
            (ids[left.encode()], ids[right.encode()]): NUM_BYTES + rank
            for rank, (left, right) in enumerate(self.merges)
        }

    def to_json(self) -> bytes:
        """The vocabulary's file, byte for byte the same for the same merges."""
        return (json.dumps(self._document(), separators=(",", ":")) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes, origin: str) -> "Vocabulary":
        """Read a vocabulary's file.

        Raises:
            ValueError: naming `origin` and what is wrong there: the bytes are not what
                `to_json` writes, or more than `MAX_FILE_BYTES`.
        """
        if len(data) > MAX_FILE_BYTES:
            raise ValueError(
                f"{origin} is not a text vocabulary of pairmill: it is larger than "
                f"{MAX_FILE_BYTES >> 20} MiB"
            )
        try:
            merges = json.loads(data)["model"]["merges"]
            vocabulary = cls(tuple(_read_merge(*entry) for entry in enumerate(merges)))
        except (ValueError, KeyError, TypeError, RecursionError) as err:
            raise ValueError(f"{origin} is not a text vocabulary of pairmill ({err})") from err
        if vocabulary.to_json() != data:
            raise ValueError(
                f"{origin} is not a text vocabulary of pairmill: another program wrote or changed "
                "it; make one with tokenize/train_text.py"
            )
        return vocabulary

    def _document(self) -> dict[str, Any]:
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [],
            "normalizer": {"type": "Lowercase"},
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [
                    {
                        "type": "Split",
                        "pattern": {"Regex": f"[a-z]{{1,{MAX_RUN_LETTERS}}}"},
                        "behavior": "Isolated",
                        "invert": False,
                    },
                    {
                        "type": "ByteLevel",
                        "add_prefix_space": False,
                        "trim_offsets": False,
                        "use_regex": False,
                    },
                ],
            },
            "post_processor": None,
            "decoder": {
                "type": "ByteLevel",
                "add_prefix_space": False,
                "trim_offsets": False,
                "use_regex": False,
            },
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": False,
                "vocab": self._token_ids(),
                "merges": [list(pair) for pair in self.merges],
            },
        }

    def _token_ids(self) -> dict[str, int]:
        tokens = [*byte_characters(), *(left + right for left, right in self.merges)]
        return {token: index for index, token in enumerate(tokens)}


def _read_merge(number: int, entry: Any) -> tuple[str, str]:
    if not (isinstance(entry, list) and len(entry) == 2 and all(type(t) is str for t in entry)):
        raise ValueError(f"merge {number} is {str(entry)[:40]}, not a pair of texts")
    return entry[0], entry[1]


def byte_characters() -> Sequence[str]:
    """The printable character that stands for each byte in the file, as GPT-2 chose them.

    >>> byte_characters()[ord("a")], byte_characters()[ord(" ")]
    ('a', 'Ġ')
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(NUM_BYTES)]
