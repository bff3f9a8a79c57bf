"""Words of a caption that stand on a list, or on none: profanity, and what nobody ever writes.

    [score.profanity]
    words = "bundled"             # or a file, one word or phrase a line

    [score.vocabulary]
    words = "vocabulary.txt"      # every word that is known, one a line

Lists are split into words as captions are, without regard to case or punctuation.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.signals.signal import Columns, Signal
from filters.signals.words import Numbers, split_words

PROFANITY_COLUMNS: Columns = (("profane_words", pa.int32()),)
VOCABULARY_COLUMNS: Columns = (("unknown_words", pa.int32()),)
BUNDLED = "bundled"
_BUNDLED_FILE = "data/profanity_en.txt"


@dataclass(frozen=True, slots=True)
class Profanity:
    """The table [score.profanity]: which words and phrases count as profane."""

    words: str = BUNDLED
    """A file or URL of UTF-8, one word or phrase a line; bundled: the English list of LDNOOBW."""

    @property
    def columns(self) -> Columns:
        return PROFANITY_COLUMNS

    def find(self) -> dict[str, str]:
        return {"words_sha256": _hash_list(self.words, "profanity")}

    def load(self) -> Signal:
        phrases = split_list(_read(self.words, "profanity"))
        return _make_signal(self.columns, partial(count_phrases, phrases=phrases))


@dataclass(frozen=True, slots=True)
class WordList:
    """The table [score.vocabulary]: which words are known."""

    words: str = ""
    """A file or URL of UTF-8, one word a line. Sharma et al. 2018, section 3: those that occur at
    least 5 times in the English Wikipedia; none is bundled."""

    @property
    def columns(self) -> Columns:
        return VOCABULARY_COLUMNS

    def find(self) -> dict[str, str]:
        return {"words_sha256": _hash_list(self.words, "vocabulary")}

    def load(self) -> Signal:
        known = split_list(_read(self.words, "vocabulary"))[0]
        return _make_signal(self.columns, partial(count_unknown, known=known))


def count_phrases(captions: pa.StringArray, phrases: tuple[pa.StringArray, ...]) -> pa.Int32Array:
    """How many words and phrases of the list each caption has, one inside another counted too.

    Args:
        phrases: as `split_list` gives them.
    """
    rows, words = split_words(captions)
    counts = np.zeros(len(captions), np.int64)
    runs = words
    for length, listed in enumerate(phrases, start=1):
        if length > 1:
            runs = pc.binary_join_element_wise(runs[:-1], words[length - 1 :], " ")
        whole = rows[length - 1 :] == rows[: max(len(rows) - length + 1, 0)]
        counts += _count_rows(rows[length - 1 :], whole & _is_in(runs, listed), len(captions))
    return pa.array(counts.astype(np.int32))


def count_unknown(captions: pa.StringArray, known: pa.StringArray) -> pa.Int32Array:
    """How many words with a letter each caption has that are not known; numbers are no words."""
    rows, words = split_words(captions)
    lettered = pc.match_substring_regex(words, r"\p{L}").to_numpy(zero_copy_only=False)
    unknown = _count_rows(rows, lettered & ~_is_in(words, known), len(captions))
    return pa.array(unknown.astype(np.int32))


def split_list(text: str) -> tuple[pa.StringArray, ...]:
    """A list's entries by their length: those of one word, those of two, joined by one space."""
    rows, words = split_words(pa.array(text.splitlines(), pa.string()))
    entries: dict[int, list[str]] = {}
    for row, word in zip(rows.tolist(), words.to_pylist(), strict=True):
        entries.setdefault(row, []).append(word)
    longest = max(map(len, entries.values()), default=1)
    by_length: list[set[str]] = [set() for _ in range(longest)]
    for entry in entries.values():
        by_length[len(entry) - 1].add(" ".join(entry))
    return tuple(pa.array(sorted(found), pa.string()) for found in by_length)


def _is_in(words: pa.StringArray, listed: pa.StringArray) -> np.ndarray:
    return np.asarray(pc.is_in(words, listed).to_numpy(zero_copy_only=False), bool)


def _count_rows(rows: Numbers, chosen: np.ndarray, num_rows: int) -> Numbers:
    return np.bincount(rows[chosen], minlength=num_rows)


def _make_signal(columns: Columns, count: Callable[[pa.StringArray], pa.Int32Array]) -> Signal:
    return Signal(columns, "caption", lambda captions: (count(captions),))


def _hash_list(words: str, table: str) -> str:
    return hashlib.sha256(_read(words, table).encode()).hexdigest()


def _read(words: str, table: str) -> str:
    if words == BUNDLED and table == "profanity":
        return files("filters").joinpath(_BUNDLED_FILE).read_text("utf-8")
    if not words:
        raise ValueError(f"[score.{table}] words is missing; give a file with one word a line")
    try:
        with fsspec.open(words, "r", encoding="utf-8") as file:
            text = str(file.read())
    except UnicodeDecodeError as error:
        raise ValueError(f"[score.{table}] words: {words} is not UTF-8: {error}") from error
    if not text.strip():
        raise ValueError(f"[score.{table}] words: {words} is empty; give one word a line")
    return text
