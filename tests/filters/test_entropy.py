import pytest

from filters.entropy import Entropy

RULE = Entropy(min_bits=1.0)

KEEPS = [
    pytest.param(1.0, id="two values, equally frequent"),
    pytest.param(7.5, id="a photograph"),
]
DROPS = [
    pytest.param(0.9999, id="a little less"),
    pytest.param(0.0, id="a blank"),
    pytest.param(None, id="no picture"),
]


@pytest.mark.parametrize("entropy_bits", KEEPS)
def test_keeps(one_row, entropy_bits):
    assert RULE(one_row(entropy_bits=entropy_bits)).tolist() == [False]


@pytest.mark.parametrize("entropy_bits", DROPS)
def test_drops(one_row, entropy_bits):
    assert RULE(one_row(entropy_bits=entropy_bits)).tolist() == [True]


def test_refuses_more_bits_than_a_byte_has():
    with pytest.raises(ValueError, match="min_bits is 9; give a number from 0 to 8"):
        Entropy(min_bits=9)
