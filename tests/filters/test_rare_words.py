import pytest

from filters.rare_words import RareWords

RULE = RareWords(max_words=1)

KEEPS = [
    pytest.param(0, id="none"),
    pytest.param(1, id="exactly the most"),
]
DROPS = [
    pytest.param(2, id="one too many"),
    pytest.param(None, id="no caption"),
]


@pytest.mark.parametrize("unknown_words", KEEPS)
def test_keeps(one_row, unknown_words):
    assert RULE(one_row(unknown_words=unknown_words)).tolist() == [False]


@pytest.mark.parametrize("unknown_words", DROPS)
def test_drops(one_row, unknown_words):
    assert RULE(one_row(unknown_words=unknown_words)).tolist() == [True]


def test_refuses_a_negative_count():
    with pytest.raises(ValueError, match="max_words is -1; give a number from 0 to 1,000"):
        RareWords(max_words=-1)
