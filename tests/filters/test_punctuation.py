import pytest

from filters.punctuation import Punctuation

RULE = Punctuation(max_ratio=0.3)

KEEPS = [
    pytest.param(0.3, id="exactly the most"),
    pytest.param(0.0, id="no sign"),
]
DROPS = [
    pytest.param(0.3001, id="a little more"),
    pytest.param(1.0, id="signs alone"),
    pytest.param(None, id="no caption"),
]


@pytest.mark.parametrize("punctuation_ratio", KEEPS)
def test_keeps(one_row, punctuation_ratio):
    assert RULE(one_row(punctuation_ratio=punctuation_ratio)).tolist() == [False]


@pytest.mark.parametrize("punctuation_ratio", DROPS)
def test_drops(one_row, punctuation_ratio):
    assert RULE(one_row(punctuation_ratio=punctuation_ratio)).tolist() == [True]


def test_refuses_a_share_above_one():
    with pytest.raises(ValueError, match="max_ratio is 2; give a number from 0 to 1"):
        Punctuation(max_ratio=2)
