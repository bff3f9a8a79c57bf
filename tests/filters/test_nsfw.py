import pytest

from filters.nsfw import Nsfw

RULE = Nsfw(max_score=0.5)

KEEPS = [
    pytest.param(0.5, id="exactly the most"),
    pytest.param(0.0, id="harmless"),
]
DROPS = [
    pytest.param(0.5001, id="a little more"),
    pytest.param(1.0, id="certainly"),
    pytest.param(None, id="no picture"),
]


@pytest.mark.parametrize("nsfw_score", KEEPS)
def test_keeps(one_row, nsfw_score):
    assert RULE(one_row(nsfw_score=nsfw_score)).tolist() == [False]


@pytest.mark.parametrize("nsfw_score", DROPS)
def test_drops(one_row, nsfw_score):
    assert RULE(one_row(nsfw_score=nsfw_score)).tolist() == [True]


def test_refuses_a_share_above_one():
    with pytest.raises(ValueError, match="max_score is 5; give a number from 0 to 1"):
        Nsfw(max_score=5)
