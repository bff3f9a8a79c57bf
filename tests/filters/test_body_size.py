import pytest

from filters.body_size import BodySize

RULE = BodySize(min_bytes=5_000)

KEEPS = [
    pytest.param(5_000, id="exactly the least"),
    pytest.param(10**7, id="a large file"),
]
DROPS = [
    pytest.param(4_999, id="one byte too few"),
    pytest.param(43, id="a tracking pixel"),
    pytest.param(None, id="no picture"),
]


@pytest.mark.parametrize("body_bytes", KEEPS)
def test_keeps(one_row, body_bytes):
    assert RULE(one_row(body_bytes=body_bytes)).tolist() == [False]


@pytest.mark.parametrize("body_bytes", DROPS)
def test_drops(one_row, body_bytes):
    assert RULE(one_row(body_bytes=body_bytes)).tolist() == [True]


def test_refuses_no_bytes():
    with pytest.raises(ValueError, match="min_bytes is 0; give a number from 1 to"):
        BodySize(min_bytes=0)
