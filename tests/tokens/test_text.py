import doctest
import hashlib
import json
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

import tokens.text
from tokens.bundled import TEXT_FILE, locate
from tokens.text import PIECE, TextTokenizer, TextTokens, load_text_tokenizer, lower_cased
from tokens.vocabulary import Vocabulary

from .counting import calls_made

TOKENIZER = load_text_tokenizer("bundled")
REFERENCE = Tokenizer.from_file(locate("bundled", TEXT_FILE))
BARE_REFERENCE = Tokenizer.from_file(locate("bundled", TEXT_FILE))
BARE_REFERENCE.normalizer = None  # its lower case follows a Unicode version of its own
UNLIMITED = 1 << 20
LETTERS = set(b"abcdefghijklmnopqrstuvwxyz")

any_text = st.text(st.characters(exclude_categories=()))  # surrogates and all
captions = st.lists(
    st.one_of(any_text, st.text("abcABC 12,é\u0130"), st.text("a", min_size=60, max_size=140)),
    max_size=4,
)


def key_of(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def split(tokens: TextTokens) -> list[list[int]]:
    return [tokens.ids[start:stop].tolist() for start, stop in pairwise(tokens.offsets)]


def encode_one(text: str, **options: object) -> list[int]:
    return TOKENIZER.encode([text], **options).ids.tolist()  # type: ignore[arg-type]


def tokens_of(text: str) -> list[str]:
    return [TOKENIZER.decode([index]) for index in encode_one(text)]


@settings(deadline=None, max_examples=60)
@given(captions)
def test_any_caption_comes_back_in_its_lower_cased_form(texts: list[str]) -> None:
    tokens = TOKENIZER.encode(texts, max_tokens=UNLIMITED)
    assert [TOKENIZER.decode(ids) for ids in split(tokens)] == [lower_cased(t) for t in texts]


@settings(deadline=None, max_examples=60)
@given(captions, st.floats(0.0, 1.0))
def test_a_caption_comes_back_from_dropout_too(texts: list[str], dropout: float) -> None:
    keys = [key_of(text) for text in texts]
    tokens = TOKENIZER.encode(texts, max_tokens=UNLIMITED, dropout=dropout, keys=keys)
    assert [TOKENIZER.decode(ids) for ids in split(tokens)] == [lower_cased(t) for t in texts]


@settings(deadline=None, max_examples=60)
@given(captions, st.integers(1, 70), st.sampled_from([0.0, 0.1, 0.9]))
def test_the_arrays_of_a_batch_fit_each_other(
    texts: list[str], max_tokens: int, dropout: float
) -> None:
    keys = [key_of(text) for text in texts]
    tokens = TOKENIZER.encode(texts, max_tokens=max_tokens, dropout=dropout, keys=keys)
    assert (tokens.ids.dtype, tokens.offsets.dtype) == (np.uint16, np.int64)
    assert tokens.truncated.dtype == np.bool_
    assert tokens.offsets[0] == 0 and tokens.offsets[-1] == len(tokens.ids)
    assert len(tokens.offsets) == len(texts) + 1 and len(tokens.truncated) == len(texts)
    lengths = np.diff(tokens.offsets)
    assert (lengths >= 0).all() and (lengths <= max_tokens).all()
    assert (lengths[tokens.truncated] == max_tokens).all()
    assert (tokens.ids < 16_384).all()


@settings(deadline=None, max_examples=60)
@given(any_text | st.text("ab1 "))
def test_only_letters_a_to_z_share_an_id(text: str) -> None:
    ids = encode_one(text, max_tokens=UNLIMITED)
    others = [byte for byte in lower_cased(text).encode() if byte not in LETTERS]
    assert [i for i in ids if i < 256 and i not in LETTERS] == others
    assert all(set(TOKENIZER.decode([i]).encode()) <= LETTERS for i in ids if i >= 256)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        pytest.param("Two Dogs", ["two", " ", "dogs"], id="a space is a token"),
        pytest.param("  the", [" ", " ", "the"], id="every space is one"),
        pytest.param("2021", ["2", "0", "2", "1"], id="digits stand alone"),
        pytest.param("the...", ["the", ".", ".", "."], id="punctuation stands alone"),
        pytest.param("the's", ["the", "'", "s"], id="an apostrophe divides"),
        pytest.param("the1the", ["the", "1", "the"], id="a digit divides"),
        pytest.param("the\0\n\tthe", ["the", "\0", "\n", "\t", "the"], id="control characters"),
        pytest.param("the_red", ["the", "_", "red"], id="an underscore divides"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_divides_a_caption_as_the_author_said(text: str, tokens: list[str]) -> None:
    assert tokens_of(text) == tokens


def test_a_letter_outside_a_to_z_is_its_bytes() -> None:
    assert encode_one("É") == list("é".encode())


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        pytest.param("ÄPFEL", "äpfel", id="letters beyond ASCII"),
        pytest.param("ΟΔΟΣ", "οδος", id="a final sigma"),
        pytest.param("\u0130x", "i\u0307x", id="a letter that becomes two"),
        pytest.param("A\0B", "a\0b", id="NUL stays"),
        pytest.param(" A\r\n", " a\r\n", id="white space stays"),
        pytest.param("e\u0301", "e\u0301", id="no normalisation"),
        pytest.param("a\ud83d\ude00b", "a\U0001f600b", id="a pair of surrogates"),
        pytest.param("A\ud83dB", "a\ufffdb", id="a high surrogate alone"),
        pytest.param("A\ude00B", "a\ufffdb", id="a low surrogate alone"),
        pytest.param("\ude00\ud83d", "\ufffd\ufffd", id="surrogates in the wrong order"),
        pytest.param("A\ud83d", "a\ufffd", id="a surrogate at the end"),
    ],
)
def test_lower_cases_and_mends_what_is_no_text(caption: str, expected: str) -> None:
    assert lower_cased(caption) == expected
    assert TOKENIZER.decode(encode_one(caption)) == expected


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text() | st.text("abcde ,1", max_size=200), max_size=4))
def test_gives_the_ids_that_tokenizers_gives(texts: list[str]) -> None:
    ids = split(TOKENIZER.encode(texts, max_tokens=UNLIMITED))
    assert ids == [BARE_REFERENCE.encode(lower_cased(text)).ids for text in texts]


def test_the_file_alone_serves_a_program_that_has_only_tokenizers() -> None:
    caption = "A RED fox, 3 years old – élan!"
    assert REFERENCE.encode(caption).ids == encode_one(caption)


@settings(deadline=None, max_examples=60)
@given(captions, st.sampled_from([0.0, 0.3]))
def test_a_caption_gets_the_same_ids_in_any_company(texts: list[str], dropout: float) -> None:
    keys = [key_of(text) for text in texts]
    together = split(TOKENIZER.encode(texts, dropout=dropout, keys=keys))
    backwards = split(TOKENIZER.encode(texts[::-1], dropout=dropout, keys=keys[::-1]))
    assert together == backwards[::-1]
    assert together == [
        encode_one(text, dropout=dropout, keys=[key]) for text, key in zip(texts, keys, strict=True)
    ]


def test_a_full_memory_of_runs_changes_no_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{word} {word}" for word in ("meadow", "lighthouse", "quetzal", "zzyzx")]
    keys = [key_of(text) for text in texts]
    monkeypatch.setattr("tokens.text.MAX_KNOWN_PIECES", 1)
    forgetful = load_text_tokenizer("bundled").encode(texts, dropout=0.1, keys=keys)
    assert split(forgetful) == split(TOKENIZER.encode(texts, dropout=0.1, keys=keys))


def test_no_captions_give_empty_arrays() -> None:
    tokens = TOKENIZER.encode([])
    assert tokens.ids.shape == (0,) and tokens.ids.dtype == np.uint16
    assert tokens.offsets.tolist() == [0] and tokens.truncated.shape == (0,)


@pytest.mark.parametrize(
    ("caption", "length", "truncated"),
    [
        pytest.param("7" * 255, 255, False, id="255 tokens"),
        pytest.param("7" * 256, 256, False, id="256 tokens fit"),
        pytest.param("7" * 257, 256, True, id="257 tokens are cut"),
        pytest.param("the " * 127 + "the", 255, False, id="words, 255 tokens"),
        pytest.param("the " * 128, 256, False, id="words, 256 tokens"),
        pytest.param("the " * 128 + "the", 256, True, id="words, 257 tokens"),
        pytest.param("é" * 128, 256, False, id="128 letters of two bytes"),
        pytest.param("7" + "é" * 128, 256, True, id="the cut falls inside a letter"),
        pytest.param("the " * 1_000_000, 256, True, id="four million letters"),
        pytest.param("a" * 1_000_000, 256, True, id="one run of a million letters"),
    ],
)
def test_cuts_after_256_tokens_and_says_so(caption: str, length: int, truncated: bool) -> None:
    tokens = TOKENIZER.encode([caption])
    assert (len(tokens.ids), tokens.truncated.tolist()) == (length, [truncated])


def test_a_letter_that_lost_bytes_to_the_cut_is_shown_as_unknown() -> None:
    assert TOKENIZER.decode(encode_one("7é", max_tokens=2)) == "7\ufffd"


@settings(deadline=None, max_examples=60)
@given(
    st.text("abcdefg é7", max_size=3_000) | st.text("ab", max_size=3_000),
    st.integers(1, 40),
    st.sampled_from([0.0, 0.5]),
)
def test_a_cut_caption_keeps_the_first_ids_of_the_whole(
    text: str, max_tokens: int, dropout: float
) -> None:
    whole = encode_one(text, max_tokens=UNLIMITED, dropout=dropout, keys=[b"k"])
    assert (
        encode_one(text, max_tokens=max_tokens, dropout=dropout, keys=[b"k"])
        == (whole[:max_tokens])
    )


def test_a_cut_run_is_merged_as_a_whole_first() -> None:
    tokenizer = TextTokenizer(Vocabulary((("b", "c"), ("a", "b"))))
    assert tokenizer.encode(["abc"], max_tokens=1).ids.tolist() == [ord("a")]


def test_a_run_longer_than_64_letters_is_cut_every_64() -> None:
    letters = "".join(random.Random(3).choices("etaoinshrdlu", k=150))
    parts = [letters[:64], letters[64:128], letters[128:]]
    assert encode_one(letters) == [i for part in parts for i in encode_one(part)]


@pytest.mark.parametrize("unit", ["a", "ab cd ", "é7"])
def test_the_work_of_dropout_grows_no_faster_than_the_caption(unit: str) -> None:
    def work(times: int) -> int:
        return calls_made(
            lambda: encode_one(unit * times, max_tokens=UNLIMITED, dropout=0.5, keys=[b"k"])
        )

    assert work(2_000) < 2.2 * work(1_000)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_what_lies_far_behind_the_cut_costs_no_work(dropout: float) -> None:
    def work(times: int) -> int:
        return calls_made(lambda: encode_one("ab cd " * times, dropout=dropout, keys=[b"k"]))

    work(1)  # meets each run for the first time
    assert work(100_000) < 1.1 * work(10_000) + 20


def test_no_piece_is_longer_than_64_bytes() -> None:
    pieces = PIECE.findall(b"x" * 1_000 + b"  \n\xff")
    assert b"".join(pieces) == b"x" * 1_000 + b"  \n\xff"
    assert max(map(len, pieces)) == 64


@pytest.mark.parametrize(
    ("options", "named"),
    [
        pytest.param({"max_tokens": 0}, "max_tokens is 0", id="no room"),
        pytest.param({"dropout": -0.1}, "dropout is -0.1", id="negative dropout"),
        pytest.param({"dropout": 1.1}, "dropout is 1.1", id="dropout above one"),
        pytest.param({"dropout": float("nan")}, "dropout is nan", id="dropout is no number"),
        pytest.param({"dropout": 0.1}, "0 keys", id="dropout without keys"),
        pytest.param({"dropout": 0.1, "keys": [b"a", b"b"]}, "2 keys", id="too many keys"),
    ],
)
def test_refuses_options_that_mean_nothing(options: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        encode_one("a caption", **options)


@pytest.mark.parametrize("index", [-1, 16_384, 16_384 + 255])
def test_decoding_refuses_what_is_no_text_id(index: int) -> None:
    with pytest.raises(ValueError, match=f"id {index} is no text id"):
        TOKENIZER.decode([5, index])


def test_decodes_numpy_ids() -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(["a RED fox"]).ids) == "a red fox"


def test_the_bundled_vocabulary_is_complete() -> None:
    assert TOKENIZER.vocab_size == 16_384
    with open(locate("bundled", TEXT_FILE), "rb") as file:
        data = file.read()
    assert TOKENIZER.sha256 == hashlib.sha256(data).hexdigest()
    model = json.loads(data)["model"]
    assert sorted(model["vocab"].values()) == list(range(16_384))
    assert len(model["merges"]) == 16_128


def test_a_missing_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = str(tmp_path / "absent.json")
    with pytest.raises(FileNotFoundError) as caught:
        load_text_tokenizer(path)
    assert path in str(caught.value)
    assert "tokenize/train_text.py" in str(caught.value)
    assert "--text_tokenizer" in str(caught.value)


def test_a_folder_is_no_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not there"):
        load_text_tokenizer(str(tmp_path))


def test_another_programs_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"model": {}}')
    with pytest.raises(ValueError, match=r"other\.json is not a text vocabulary of pairmill"):
        load_text_tokenizer(str(path))


def test_a_file_that_is_not_the_packages_own_is_not_taken_for_bundled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "text.json"
    path.write_bytes(Vocabulary((("a", "b"),)).to_json())
    monkeypatch.setattr("tokens.text.locate", lambda *names: str(path))
    with pytest.raises(ValueError, match=r"text\.json is not the vocabulary of this package"):
        load_text_tokenizer("bundled")


def test_a_huge_file_is_refused_and_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(ValueError, match=r"huge\.json is not .* larger than 16 MiB"):
        load_text_tokenizer(str(path))


def test_the_examples_in_the_docstrings_hold() -> None:
    result = doctest.testmod(tokens.text)
    assert result.attempted > 0 and result.failed == 0
