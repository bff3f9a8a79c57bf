import pytest

from filters.animation import Animation

RULE = Animation()

KEEPS = [
    pytest.param(False, id="one frame"),
    pytest.param(False, id="a GIF of one frame"),
]
DROPS = [
    pytest.param(True, id="several frames"),
    pytest.param(None, id="no picture"),
]


@pytest.mark.parametrize("animated", KEEPS)
def test_keeps(one_row, animated):
    assert RULE(one_row(animated=animated)).tolist() == [False]


@pytest.mark.parametrize("animated", DROPS)
def test_drops(one_row, animated):
    assert RULE(one_row(animated=animated)).tolist() == [True]


def test_keeps_what_the_recipe_wants(one_row):
    moving = Animation(keep="animated")
    assert moving(one_row(animated=True)).tolist() == [False]
    assert moving(one_row(animated=False)).tolist() == [True]
    assert moving(one_row(animated=None)).tolist() == [True]


def test_refuses_another_word():
    with pytest.raises(ValueError, match="keep is 'all'; give one of 'still', 'animated'"):
        Animation(keep="all")
