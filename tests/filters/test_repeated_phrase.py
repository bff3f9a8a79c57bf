import pytest

from filters.repeated_phrase import RepeatedPhrase

RULE = RepeatedPhrase(max_bigram_ratio=0.6, max_trigram_ratio=0.4)

KEEPS = [
    pytest.param(0.6, 0.4, id="exactly the most of both"),
    pytest.param(0.0, 0.0, id="nothing repeated"),
]
DROPS = [
    pytest.param(0.61, 0.4, id="a run of two a little too often"),
    pytest.param(0.6, 0.41, id="a run of three a little too often"),
    pytest.param(None, None, id="no caption"),
]


@pytest.mark.parametrize(("top_bigram_ratio", "top_trigram_ratio"), KEEPS)
def test_keeps(one_row, top_bigram_ratio, top_trigram_ratio):
    assert RULE(
        one_row(top_bigram_ratio=top_bigram_ratio, top_trigram_ratio=top_trigram_ratio)
    ).tolist() == [False]


@pytest.mark.parametrize(("top_bigram_ratio", "top_trigram_ratio"), DROPS)
def test_drops(one_row, top_bigram_ratio, top_trigram_ratio):
    assert RULE(
        one_row(top_bigram_ratio=top_bigram_ratio, top_trigram_ratio=top_trigram_ratio)
    ).tolist() == [True]


def test_refuses_a_negative_share():
    with pytest.raises(ValueError, match="max_trigram_ratio is -0.1; give a number from 0 to 1"):
        RepeatedPhrase(max_trigram_ratio=-0.1)
