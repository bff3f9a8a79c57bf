import pytest

from filters.blur import Blur

RULE = Blur(min_sharpness=100)

KEEPS = [
    pytest.param(100.0, id="exactly the least"),
    pytest.param(5_000.0, id="sharp"),
]
DROPS = [
    pytest.param(99.9, id="a little less"),
    pytest.param(0.0, id="a blank"),
    pytest.param(None, id="no picture"),
]


@pytest.mark.parametrize("sharpness", KEEPS)
def test_keeps(one_row, sharpness):
    assert RULE(one_row(sharpness=sharpness)).tolist() == [False]


@pytest.mark.parametrize("sharpness", DROPS)
def test_drops(one_row, sharpness):
    assert RULE(one_row(sharpness=sharpness)).tolist() == [True]


def test_refuses_a_negative_variance():
    with pytest.raises(ValueError, match="min_sharpness is -1; give a number from 0 to 65,025"):
        Blur(min_sharpness=-1)
