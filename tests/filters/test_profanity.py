import pytest

from filters.profanity import Profanity

RULE = Profanity(max_words=1)

KEEPS = [
    pytest.param(0, id="none"),
    pytest.param(1, id="exactly the most"),
]
DROPS = [
    pytest.param(2, id="one too many"),
    pytest.param(None, id="no caption"),
]


@pytest.mark.parametrize("profane_words", KEEPS)
def test_keeps(one_row, profane_words):
    assert RULE(one_row(profane_words=profane_words)).tolist() == [False]


@pytest.mark.parametrize("profane_words", DROPS)
def test_drops(one_row, profane_words):
    assert RULE(one_row(profane_words=profane_words)).tolist() == [True]


def test_allows_none_by_default(one_row):
    assert Profanity()(one_row(profane_words=1)).tolist() == [True]


def test_refuses_a_negative_count():
    with pytest.raises(ValueError, match="max_words is -1; give a number from 0 to 1,000"):
        Profanity(max_words=-1)
