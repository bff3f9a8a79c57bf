import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tokens.bundled import TEXT_FILE, locate
from tokens.draw import keyed_generator, rekey
from tokens.dropout import Skips, merge_with_skips
from tokens.text import PIECE, load_text_tokenizer
from tokens.vocabulary import Vocabulary

Ids = tuple[int, ...]

with open(locate("bundled", TEXT_FILE), "rb") as file:
    MERGED_IDS = Vocabulary.from_json(file.read(), "bundled").merged_ids()
TOKENIZER = load_text_tokenizer("bundled")
CAPTION = "A man in a red shirt rides a brown horse along the beach at sunset, 2021"


def law_of(ids: Ids, probability: float, known: dict[Ids, dict[Ids, float]]) -> dict[Ids, float]:
    """The exact distribution of BPE dropout's result (Provilkov et al. 2019, algorithm 1)."""
    if ids not in known:
        law: dict[Ids, float] = defaultdict(float)
        none_so_far = 1.0
        pairs = enumerate(pairwise(ids))
        for merged, i in sorted((MERGED_IDS[pair], i) for i, pair in pairs if pair in MERGED_IDS):
            after = law_of((*ids[:i], merged, *ids[i + 2 :]), probability, known)
            for result, share in after.items():
                law[result] += none_so_far * (1.0 - probability) * share
            none_so_far *= probability
        law[ids] += none_so_far
        known[ids] = law
    return known[ids]


def sample_ours(word: str, probability: float, times: int) -> Counter[Ids]:
    skips = Skips(np.random.Generator(np.random.Philox(key=20_21)), probability)
    return Counter(
        tuple(merge_with_skips(list(word.encode()), MERGED_IDS, skips)) for _ in range(times)
    )


def sample_tokenizers(word: str, probability: float, times: int) -> Counter[Ids]:
    tokenizer = Tokenizer.from_file(locate("bundled", TEXT_FILE))
    tokenizer.model.dropout = probability
    return Counter(tuple(t.id for t in tokenizer.model.tokenize(word)) for _ in range(times))


def distance(counts: Mapping[Ids, int], law: Mapping[Ids, float]) -> float:
    """Chi-squared of counts against a law, in standard deviations above what chance gives."""
    total = sum(counts.values())
    assert set(counts) <= set(law)
    expected = {ids: total * share for ids, share in law.items()}
    often = [ids for ids in law if expected[ids] >= 10]
    cells = [(counts.get(ids, 0), expected[ids]) for ids in often]
    rest = total - sum(value for _, value in cells)
    if rest >= 10:
        cells.append((total - sum(count for count, _ in cells), rest))
    freedom = len(cells) - 1
    chi_squared = sum((count - value) ** 2 / value for count, value in cells)
    return (chi_squared - freedom) / math.sqrt(2 * freedom)


@pytest.mark.parametrize("probability", [0.1, 0.5])
@pytest.mark.parametrize("word", ["in", "the", "flower", "mississippi"])
def test_results_are_as_frequent_as_the_algorithm_of_provilkov_makes_them(
    word: str, probability: float
) -> None:
    law = law_of(tuple(word.encode()), probability, {})
    assert sum(law.values()) == pytest.approx(1.0)
    assert distance(sample_ours(word, probability, 10_000), law) < 5


@pytest.mark.parametrize("probability", [0.1, 0.5])
@pytest.mark.parametrize("word", ["in", "liquid", "subjoin", "shrewdly"])
def test_results_are_as_frequent_as_those_of_tokenizers(word: str, probability: float) -> None:
    # In these words no two possible merges ever claim the same token. Elsewhere `tokenizers`
    # keeps the overtaken one in its queue and, on meeting it, asks the skipped ones again.
    law = law_of(tuple(word.encode()), probability, {})
    assert distance(sample_tokenizers(word, probability, 10_000), law) < 6
    assert distance(sample_ours(word, probability, 10_000), law) < 5


def test_the_measure_tells_two_laws_apart() -> None:
    law = law_of(tuple(b"flower"), 0.12, {})
    assert distance(sample_ours("flower", 0.1, 10_000), law) > 10


@settings(deadline=None)
@given(st.text("abcdefghijklmnopqrst ,1é", max_size=60))
def test_dropout_of_zero_is_plain_bpe(text: str) -> None:
    skips = Skips(np.random.Generator(np.random.Philox(key=1)), 0.0)
    pieces = PIECE.findall(text.encode())
    merged = [i for piece in pieces for i in merge_with_skips(list(piece), MERGED_IDS, skips)]
    assert merged == TOKENIZER.encode([text]).ids.tolist()
    with_option = TOKENIZER.encode([text], dropout=0.0, keys=[b"k"])
    assert with_option.ids.tolist() == merged


def test_dropout_of_one_leaves_single_bytes() -> None:
    tokens = TOKENIZER.encode([CAPTION, "É"], dropout=1.0, keys=[b"a", b"b"])
    assert tokens.ids.tolist() == list((CAPTION + "é").lower().encode())


@settings(deadline=None)
@given(st.text("abcdefghijklmnopqrst ,1", max_size=60), st.binary(), st.floats(0.01, 0.99))
def test_the_shortcut_for_words_without_a_skip_changes_no_ids(
    text: str, key: bytes, probability: float
) -> None:
    skips = Skips(keyed_generator(key, "bpe_dropout", 7), probability)
    pieces = PIECE.findall(text.encode())
    slowly = [i for piece in pieces for i in merge_with_skips(list(piece), MERGED_IDS, skips)]
    quickly = TOKENIZER.encode([text], dropout=probability, keys=[key], seed=7)
    assert quickly.ids.tolist() == slowly


def test_another_key_or_seed_skips_other_merges() -> None:
    def ids(key: bytes, seed: int) -> bytes:
        return TOKENIZER.encode([CAPTION], dropout=0.5, keys=[key], seed=seed).ids.tobytes()

    assert len({ids(b"a", 0), ids(b"b", 0), ids(b"a", 1), ids(b"b", 1)}) == 4


def test_the_ids_of_a_key_are_the_same_on_every_machine() -> None:
    keys = [i.to_bytes(16, "big") for i in range(200)]
    ids = TOKENIZER.encode([CAPTION] * 200, dropout=0.1, keys=keys, seed=3).ids
    assert hashlib.sha256(ids.astype("<u2").tobytes()).hexdigest() == (
        "5f4afe8239d9a5d2b2fa1f0cb6b929aadda55b349f9ffdce1091575af7b0092a"
    )


def test_the_papers_rate_lengthens_captions_a_little() -> None:
    keys = [i.to_bytes(16, "big") for i in range(500)]
    plain = len(TOKENIZER.encode([CAPTION]).ids)
    dropped = len(TOKENIZER.encode([CAPTION] * 500, dropout=0.1, keys=keys).ids) / 500
    assert 1.05 * plain < dropped < 1.25 * plain


@given(st.binary(), st.binary(), st.integers(0, 1 << 40))
def test_a_generator_that_was_rekeyed_draws_as_a_new_one(old: bytes, key: bytes, seed: int) -> None:
    generator = keyed_generator(old, "bpe_dropout", seed)
    generator.integers(0, 9, 5, dtype=np.uint32)  # leaves half a draw behind
    rekey(generator, key, "bpe_dropout", seed)
    new = keyed_generator(key, "bpe_dropout", seed)
    assert generator.integers(0, 99, 5, dtype=np.uint32).tolist() == (
        new.integers(0, 99, 5, dtype=np.uint32).tolist()
    )
    assert generator.random(130).tolist() == new.random(130).tolist()


def test_draws_are_taken_one_after_the_other_and_never_twice() -> None:
    def draws() -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=9))

    skips, expected = Skips(draws(), 0.3), (draws().random(1_000) < 0.3).tolist()
    taken: list[bool] = []
    while len(taken) < 900:
        if skips.take_if_none(3):
            taken += [False] * 3
        else:
            taken.append(skips.take())
    assert taken == expected[: len(taken)]


def test_ids_given_are_left_alone() -> None:
    given_ids = list(b"the")
    merge_with_skips(given_ids, MERGED_IDS, Skips(np.random.default_rng(0), 0.0))
    assert given_ids == list(b"the")
