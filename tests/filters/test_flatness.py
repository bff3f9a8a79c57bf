import pytest

from filters.flatness import Flatness

RULE = Flatness(max_ratio=0.9)

KEEPS = [
    pytest.param(0.9, id="exactly the most"),
    pytest.param(0.01, id="a photograph"),
]
DROPS = [
    pytest.param(0.9001, id="a little more"),
    pytest.param(1.0, id="a blank"),
    pytest.param(None, id="no picture"),
]


@pytest.mark.parametrize("flat_ratio", KEEPS)
def test_keeps(one_row, flat_ratio):
    assert RULE(one_row(flat_ratio=flat_ratio)).tolist() == [False]


@pytest.mark.parametrize("flat_ratio", DROPS)
def test_drops(one_row, flat_ratio):
    assert RULE(one_row(flat_ratio=flat_ratio)).tolist() == [True]


def test_refuses_a_share_above_one():
    with pytest.raises(ValueError, match="max_ratio is 1.5; give a number from 0 to 1"):
        Flatness(max_ratio=1.5)
