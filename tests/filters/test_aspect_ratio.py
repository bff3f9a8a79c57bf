import math

import pytest

from filters.aspect_ratio import AspectRatio

KEEPS = [
    pytest.param(0.5, id="exactly twice as tall as wide"),
    pytest.param(2.0, id="exactly twice as wide as tall"),
    pytest.param(1.0, id="square"),
]
DROPS = [
    pytest.param(math.nextafter(0.5, 0), id="a little taller"),
    pytest.param(math.nextafter(2, 3), id="a little wider"),
    pytest.param(0.001, id="a line"),
    pytest.param(None, id="no picture"),
]


@pytest.mark.parametrize("ratio", KEEPS)
def test_keeps(one_row, ratio):
    rule = AspectRatio(min_ratio=0.5, max_ratio=2.0)
    assert rule(one_row(aspect_ratio=ratio)).tolist() == [False]


@pytest.mark.parametrize("ratio", DROPS)
def test_drops(one_row, ratio):
    rule = AspectRatio(min_ratio=0.5, max_ratio=2.0)
    assert rule(one_row(aspect_ratio=ratio)).tolist() == [True]


def test_refuses_limits_that_leave_out_the_square():
    with pytest.raises(ValueError, match=r"min_ratio is 1\.5; give a number from 0 to 1"):
        AspectRatio(min_ratio=1.5)
