import pytest

from filters.repetition import Repetition

RULE = Repetition(min_unique_ratio=0.8)

KEEPS = [
    pytest.param(0.8, id="exactly the least: one word of five said again"),
    pytest.param(1.0, id="no word twice"),
]
DROPS = [
    pytest.param(0.7999, id="a little less"),
    pytest.param(0.0, id="nothing distinct"),
    pytest.param(None, id="no caption"),
]


@pytest.mark.parametrize("unique_word_ratio", KEEPS)
def test_keeps(one_row, unique_word_ratio):
    assert RULE(one_row(unique_word_ratio=unique_word_ratio)).tolist() == [False]


@pytest.mark.parametrize("unique_word_ratio", DROPS)
def test_drops(one_row, unique_word_ratio):
    assert RULE(one_row(unique_word_ratio=unique_word_ratio)).tolist() == [True]


def test_refuses_a_share_above_one():
    with pytest.raises(ValueError, match="min_unique_ratio is 1.1; give a number from 0 to 1"):
        Repetition(min_unique_ratio=1.1)
