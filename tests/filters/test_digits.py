import pytest

from filters.digits import Digits

RULE = Digits(max_ratio=0.5)

KEEPS = [
    pytest.param(0.5, id="exactly half"),
    pytest.param(0.0, id="no digit"),
]
DROPS = [
    pytest.param(0.5001, id="a little more than half"),
    pytest.param(1.0, id="a number"),
    pytest.param(None, id="no caption"),
]


@pytest.mark.parametrize("digit_ratio", KEEPS)
def test_keeps(one_row, digit_ratio):
    assert RULE(one_row(digit_ratio=digit_ratio)).tolist() == [False]


@pytest.mark.parametrize("digit_ratio", DROPS)
def test_drops(one_row, digit_ratio):
    assert RULE(one_row(digit_ratio=digit_ratio)).tolist() == [True]


def test_refuses_a_share_above_one():
    with pytest.raises(ValueError, match="max_ratio is 2; give a number from 0 to 1"):
        Digits(max_ratio=2)
