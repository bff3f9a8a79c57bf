import pytest

from filters.short_side import ShortSide

KEEPS = [
    pytest.param(256, id="exactly the crop's side"),
    pytest.param(4000, id="a large picture"),
]
DROPS = [
    pytest.param(255, id="one pixel too few"),
    pytest.param(1, id="a tracking pixel"),
    pytest.param(None, id="no picture"),
]


@pytest.mark.parametrize("side_px", KEEPS)
def test_keeps(one_row, side_px):
    assert ShortSide(min_side_px=256)(one_row(short_side_px=side_px)).tolist() == [False]


@pytest.mark.parametrize("side_px", DROPS)
def test_drops(one_row, side_px):
    assert ShortSide(min_side_px=256)(one_row(short_side_px=side_px)).tolist() == [True]


def test_refuses_a_side_of_no_pixels():
    with pytest.raises(ValueError, match="min_side_px is 0; give a number from 1"):
        ShortSide(min_side_px=0)
