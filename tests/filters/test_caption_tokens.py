import pytest

from filters.caption_tokens import CaptionTokens

RULE = CaptionTokens(max_tokens=256)

KEEPS = [
    pytest.param(256, id="exactly the text slots"),
    pytest.param(0, id="an empty caption"),
]
DROPS = [
    pytest.param(257, id="one token too many"),
    pytest.param(None, id="no caption"),
]


@pytest.mark.parametrize("caption_tokens", KEEPS)
def test_keeps(one_row, caption_tokens):
    assert RULE(one_row(caption_tokens=caption_tokens)).tolist() == [False]


@pytest.mark.parametrize("caption_tokens", DROPS)
def test_drops(one_row, caption_tokens):
    assert RULE(one_row(caption_tokens=caption_tokens)).tolist() == [True]


def test_refuses_no_tokens():
    with pytest.raises(ValueError, match="max_tokens is 0; give a number from 1 to 4,096"):
        CaptionTokens(max_tokens=0)
