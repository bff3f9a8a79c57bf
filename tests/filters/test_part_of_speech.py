import pytest

from filters.part_of_speech import PartOfSpeech

RULE = PartOfSpeech(max_noun_ratio=0.5)

KEEPS = [
    pytest.param(1, 1, 1, 0.5, id="exactly the least and the most"),
    pytest.param(2, 2, 1, 0.3, id="a dog sits on the mat"),
]
DROPS = [
    pytest.param(0, 1, 1, 0.0, id="no noun"),
    pytest.param(1, 0, 1, 0.5, id="no determiner"),
    pytest.param(1, 1, 0, 0.5, id="no preposition"),
    pytest.param(1, 1, 1, 0.51, id="a noun too many"),
    pytest.param(None, None, None, None, id="no caption"),
    pytest.param(None, 1, 1, 0.5, id="nouns were not measured"),
    pytest.param(1, 1, 1, None, id="the share was not measured"),
]


@pytest.mark.parametrize(("nouns", "determiners", "prepositions", "noun_ratio"), KEEPS)
def test_keeps(one_row, nouns, determiners, prepositions, noun_ratio):
    assert RULE(
        one_row(
            nouns=nouns, determiners=determiners, prepositions=prepositions, noun_ratio=noun_ratio
        )
    ).tolist() == [False]


@pytest.mark.parametrize(("nouns", "determiners", "prepositions", "noun_ratio"), DROPS)
def test_drops(one_row, nouns, determiners, prepositions, noun_ratio):
    assert RULE(
        one_row(
            nouns=nouns, determiners=determiners, prepositions=prepositions, noun_ratio=noun_ratio
        )
    ).tolist() == [True]


def test_cc12m_permits_captions_without_prepositions(one_row):
    signals = one_row(nouns=1, determiners=1, prepositions=0, noun_ratio=0.5)
    assert PartOfSpeech(min_prepositions=0)(signals).tolist() == [False]


def test_refuses_a_share_above_one():
    with pytest.raises(ValueError, match="max_noun_ratio is 2; give a number from 0 to 1"):
        PartOfSpeech(max_noun_ratio=2)
