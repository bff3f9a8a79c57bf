import pytest

from filters.border import Border

RULE = Border(max_ratio=0.5)

KEEPS = [
    pytest.param(0.5, id="exactly half"),
    pytest.param(0.0, id="no frame"),
]
DROPS = [
    pytest.param(0.5001, id="a little more than half"),
    pytest.param(1.0, id="a blank"),
    pytest.param(None, id="no picture"),
]


@pytest.mark.parametrize("border_ratio", KEEPS)
def test_keeps(one_row, border_ratio):
    assert RULE(one_row(border_ratio=border_ratio)).tolist() == [False]


@pytest.mark.parametrize("border_ratio", DROPS)
def test_drops(one_row, border_ratio):
    assert RULE(one_row(border_ratio=border_ratio)).tolist() == [True]


def test_refuses_a_share_above_one():
    with pytest.raises(ValueError, match="max_ratio is 2; give a number from 0 to 1"):
        Border(max_ratio=2)
