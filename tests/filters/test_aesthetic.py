import pytest

from filters.aesthetic import Aesthetic

RULE = Aesthetic(min_score=4.5)

KEEPS = [
    pytest.param(4.5, id="exactly the least"),
    pytest.param(7.0, id="a sunset"),
]
DROPS = [
    pytest.param(4.499, id="a little less"),
    pytest.param(-1.0, id="ugly"),
    pytest.param(None, id="no picture"),
]


@pytest.mark.parametrize("aesthetic_score", KEEPS)
def test_keeps(one_row, aesthetic_score):
    assert RULE(one_row(aesthetic_score=aesthetic_score)).tolist() == [False]


@pytest.mark.parametrize("aesthetic_score", DROPS)
def test_drops(one_row, aesthetic_score):
    assert RULE(one_row(aesthetic_score=aesthetic_score)).tolist() == [True]


def test_refuses_what_is_no_score():
    with pytest.raises(ValueError, match="min_score is 1000; give a number from -100 to 100"):
        Aesthetic(min_score=1000)
