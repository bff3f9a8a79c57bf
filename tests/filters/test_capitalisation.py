import pytest

from filters.capitalisation import Capitalisation

RULE = Capitalisation(capital_start=True, max_word_ratio=0.5)

KEEPS = [
    pytest.param(True, 0.5, id="exactly the most capitals"),
    pytest.param(True, 0.1, id="a sentence"),
]
DROPS = [
    pytest.param(False, 0.5, id="begins small"),
    pytest.param(True, 0.51, id="a word too many"),
    pytest.param(None, None, id="no caption"),
    pytest.param(True, None, id="words were not measured"),
    pytest.param(None, 0.1, id="the start was not measured"),
]


@pytest.mark.parametrize(("capitalised_start", "capitalised_word_ratio"), KEEPS)
def test_keeps(one_row, capitalised_start, capitalised_word_ratio):
    assert RULE(
        one_row(capitalised_start=capitalised_start, capitalised_word_ratio=capitalised_word_ratio)
    ).tolist() == [False]


@pytest.mark.parametrize(("capitalised_start", "capitalised_word_ratio"), DROPS)
def test_drops(one_row, capitalised_start, capitalised_word_ratio):
    assert RULE(
        one_row(capitalised_start=capitalised_start, capitalised_word_ratio=capitalised_word_ratio)
    ).tolist() == [True]


def test_lets_a_small_start_pass_where_the_recipe_does(one_row):
    signals = one_row(capitalised_start=False, capitalised_word_ratio=0.2)
    assert Capitalisation(capital_start=False)(signals).tolist() == [False]


def test_refuses_a_share_above_one():
    with pytest.raises(ValueError, match="max_word_ratio is 50; give a number from 0 to 1"):
        Capitalisation(max_word_ratio=50)
