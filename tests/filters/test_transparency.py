import pytest

from filters.transparency import Transparency

RULE = Transparency(max_ratio=0.9)

KEEPS = [
    pytest.param(0.9, id="exactly the most"),
    pytest.param(0.0, id="opaque"),
]
DROPS = [
    pytest.param(0.9001, id="a little more"),
    pytest.param(1.0, id="nothing to see"),
    pytest.param(None, id="no picture"),
]


@pytest.mark.parametrize("transparency_ratio", KEEPS)
def test_keeps(one_row, transparency_ratio):
    assert RULE(one_row(transparency_ratio=transparency_ratio)).tolist() == [False]


@pytest.mark.parametrize("transparency_ratio", DROPS)
def test_drops(one_row, transparency_ratio):
    assert RULE(one_row(transparency_ratio=transparency_ratio)).tolist() == [True]


def test_refuses_a_share_above_one():
    with pytest.raises(ValueError, match="max_ratio is 2; give a number from 0 to 1"):
        Transparency(max_ratio=2)
