import doctest
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

import tokens.plain_bpe
from benchmarks.made_captions import make_captions
from tokens.bundled import TEXT_FILE, locate
from tokens.plain_bpe import cut_by_letters, reachable_ranks
from tokens.text import TextTokenizer, load_text_tokenizer, lower_cased
from tokens.vocabulary import Vocabulary

TOKENIZER = load_text_tokenizer("bundled")
UNLIMITED = 1 << 20


@st.composite
def vocabularies(draw: st.DrawFn) -> Vocabulary:
    """Few letters and many merges, so that some tokens can be made in several ways."""
    known, merges = ["a", "b", "c"], []
    for _ in range(draw(st.integers(0, 12))):
        left, right = draw(st.sampled_from(known)), draw(st.sampled_from(known))
        if left + right not in known:
            known.append(left + right)
            merges.append((left, right))
    return Vocabulary(tuple(merges))


@settings(deadline=None, max_examples=300)
@given(vocabularies(), st.lists(st.text("abc", max_size=20) | st.text("abc 1é\n", max_size=30)))
def test_any_vocabulary_gives_the_ids_that_tokenizers_gives(
    vocabulary: Vocabulary, texts: list[str]
) -> None:
    reference = Tokenizer.from_str(vocabulary.to_json().decode())
    found = TextTokenizer(vocabulary).encode(texts, max_tokens=UNLIMITED)
    ids = [found.ids[start:stop].tolist() for start, stop in pairwise(found.offsets)]
    assert ids == [reference.encode(text).ids for text in texts]


def test_a_token_that_its_own_merges_do_not_make_is_no_result() -> None:
    vocabulary = Vocabulary((("b", "c"), ("a", "b"), ("ab", "c")))  # abc: b and c are joined first
    assert TextTokenizer(vocabulary).encode(["abc"]).ids.tolist() == [ord("a"), 256]


def test_tokens_out_of_reach_are_left_out() -> None:
    made = {b"ab": [256], b"abc": [97, 257]}
    assert reachable_ranks([*made], made.__getitem__, first=256) == {b"ab": 256}


@pytest.mark.slow
def test_200_000_different_captions_get_the_ids_that_tokenizers_gives() -> None:
    captions = make_captions(200_000)
    assert len(set(captions)) == 200_000
    reference = Tokenizer.from_file(locate("bundled", TEXT_FILE))
    reference.normalizer = None  # its lower case follows a Unicode version of its own
    expected = reference.encode_batch([lower_cased(caption) for caption in captions])
    found = TOKENIZER.encode(captions, max_tokens=UNLIMITED)
    assert found.ids.tolist() == [index for one in expected for index in one.ids]
    assert np.diff(found.offsets).tolist() == [len(one.ids) for one in expected]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text("ab c", max_size=40), max_size=9), st.integers(1, 30))
def test_the_cut_into_parts_changes_no_ids(texts: list[str], at_once: int) -> None:
    whole = TOKENIZER.encode(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tokens.plain_bpe.MAX_LETTERS_AT_ONCE", at_once)
        parts = list(cut_by_letters(texts))
        cut = TOKENIZER.encode(texts)
    assert [text for part in parts for text in part] == texts
    assert all(len("".join(part[1:])) < at_once for part in parts)
    assert (cut.ids.tolist(), cut.offsets.tolist()) == (whole.ids.tolist(), whole.offsets.tolist())


def test_spaces_alone_and_nothing_keep_their_places() -> None:
    found = TOKENIZER.encode(["", " ", "  ", "the ", ""])
    assert np.diff(found.offsets).tolist() == [0, 1, 2, 2, 0]


def test_words_met_in_another_batch_are_not_needed() -> None:
    texts = ["meadow", "quetzal", "zzyzx", "7", "é"]
    alone = [TOKENIZER.encode([text]).ids.tolist() for text in texts]
    found = TOKENIZER.encode(texts)
    assert [found.ids[a:b].tolist() for a, b in pairwise(found.offsets)] == alone


def test_the_examples_in_the_docstrings_hold() -> None:
    result = doctest.testmod(tokens.plain_bpe)
    assert result.attempted > 0 and result.failed == 0
