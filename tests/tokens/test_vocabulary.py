import doctest
import json
from typing import Any

import pytest
from tokenizers import Tokenizer

import tokens.vocabulary
from tokens.vocabulary import (
    MAX_FILE_BYTES,
    MAX_VOCAB_SIZE,
    NUM_BYTES,
    Vocabulary,
    byte_characters,
)

SMALL = Vocabulary((("a", "b"), ("ab", "c"), ("c", "c")))


def test_ids_are_the_bytes_and_then_the_merges() -> None:
    assert SMALL.size == 259
    tokens = SMALL.token_bytes()
    assert tokens[:256] == [bytes((byte,)) for byte in range(256)]
    assert tokens[256:] == [b"ab", b"abc", b"cc"]


def test_a_merge_is_found_by_the_ids_that_it_joins() -> None:
    a, b, c = b"abc"
    assert SMALL.merged_ids() == {(a, b): 256, (256, c): 257, (c, c): 258}


def test_a_vocabulary_comes_back_from_its_file() -> None:
    assert Vocabulary.from_json(SMALL.to_json(), "here") == SMALL


def test_tokenizers_reads_the_file_and_counts_the_same_ids() -> None:
    tokenizer = Tokenizer.from_str(SMALL.to_json().decode())
    assert tokenizer.get_vocab_size() == SMALL.size
    assert tokenizer.encode("ABCcc\n").ids == [257, 258, ord("\n")]
    assert tokenizer.decode([257, *"é".encode()]) == "abcé"


def test_every_byte_has_a_character_of_its_own() -> None:
    characters = byte_characters()
    assert len(set(characters)) == NUM_BYTES
    assert all(character.isprintable() for character in characters)


@pytest.mark.parametrize(
    "merges",
    [
        pytest.param((("a", "bc"),), id="a part that is not learnt yet"),
        pytest.param((("ab", "c"), ("a", "b")), id="merges out of order"),
        pytest.param((("a", "b"), ("a", "b")), id="the same merge twice"),
        pytest.param((("a", "a"), ("aa", "a"), ("a", "aa")), id="one token made in two ways"),
        pytest.param((("a", "1"),), id="a digit"),
        pytest.param((("a", "é"),), id="a letter beyond a-z"),
        pytest.param((("a", "A"),), id="a capital"),
        pytest.param((("", "a"),), id="an empty part"),
    ],
)
def test_refuses_merges_that_break_the_rules(merges: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(ValueError, match="merge "):
        Vocabulary(merges)


def test_refuses_more_ids_than_16_bits_hold() -> None:
    token, merges = "a", []
    for letter in "b" * (65_536 - 256 + 1):
        merges.append((token, letter))
    with pytest.raises(ValueError, match="at most 65536"):
        Vocabulary(tuple(merges))


def changed(**changes: Any) -> bytes:
    return json.dumps(json.loads(SMALL.to_json()) | changes).encode()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe\xff", id="no text"),
        pytest.param(b"[" * 100_000, id="nested without end"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"model": null}', id="no model"),
        pytest.param(b'{"model": {"merges": 5}}', id="merges are a number"),
        pytest.param(b'{"model": {"merges": ["a b"]}}', id="merges are strings"),
        pytest.param(b'{"model": {"merges": [[1, 2]]}}', id="merges of numbers"),
        pytest.param(b'{"model": {"merges": [[[], "a"]]}}', id="merges of lists"),
        pytest.param(SMALL.to_json().replace(b'"ab":256', b'"ab":300'), id="another id"),
        pytest.param(SMALL.to_json()[:-2], id="cut short"),
        pytest.param(SMALL.to_json() + b"\n", id="one more line"),
        pytest.param(changed(normalizer=None), id="no lower case"),
        pytest.param(changed(truncation={"max_length": 5}), id="another setting"),
    ],
)
def test_refuses_a_file_that_we_did_not_write(data: bytes) -> None:
    with pytest.raises(ValueError, match="here is not a text vocabulary of pairmill"):
        Vocabulary.from_json(data, "here")


@pytest.mark.parametrize(
    ("merges", "message"),
    [
        pytest.param(5, "'int' object is not iterable", id="a number"),
        pytest.param([["a", "b"], "ab"], "merge 1 is ab, not a pair of texts", id="no pair"),
        pytest.param([["a", "b", "c"]], "merge 0 is .*, not a pair of texts", id="a triple"),
        pytest.param([["a", "b"], ["a", 1]], "merge 1 is .*, not a pair", id="a number in a pair"),
        pytest.param(
            [["a", "b"], ["x", "yz"]], "merge 1, 'x' . 'yz', joins a token", id="unknown part"
        ),
    ],
)
def test_names_the_merge_that_is_wrong(merges: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"here is not a text vocabulary of pairmill .{message}"):
        Vocabulary.from_json(changed(model={"merges": merges}), "here")


def test_the_largest_vocabulary_has_room_in_the_size_limit() -> None:
    letters = [["a" * 63, "b"]] * (MAX_VOCAB_SIZE - NUM_BYTES)
    entry = json.dumps({"a" * 63 + "b": 65_535}, separators=(",", ":"))
    merges = json.dumps(letters, separators=(",", ":"))
    assert len(merges) + len(letters) * len(entry) + 4_096 < MAX_FILE_BYTES


def test_the_examples_in_the_docstrings_hold() -> None:
    result = doctest.testmod(tokens.vocabulary)
    assert result.attempted > 0 and result.failed == 0
