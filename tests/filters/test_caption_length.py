import pytest

from filters.caption_length import CaptionLength

KEEPS = [
    pytest.param(6, 3, id="exactly the least of both"),
    pytest.param(400, 90, id="a long caption"),
]
DROPS = [
    pytest.param(5, 3, id="one character too few"),
    pytest.param(6, 2, id="one word too few"),
    pytest.param(0, 0, id="an empty caption"),
    pytest.param(None, None, id="no caption"),
]


@pytest.mark.parametrize(("chars", "words"), KEEPS)
def test_keeps(one_row, chars, words):
    signals = one_row(caption_chars=chars, caption_words=words)
    assert CaptionLength(min_chars=6, min_words=3)(signals).tolist() == [False]


@pytest.mark.parametrize(("chars", "words"), DROPS)
def test_drops(one_row, chars, words):
    signals = one_row(caption_chars=chars, caption_words=words)
    assert CaptionLength(min_chars=6, min_words=3)(signals).tolist() == [True]


def test_refuses_a_negative_threshold():
    with pytest.raises(ValueError, match="min_words is -1; give a number from 0 to 1,000"):
        CaptionLength(min_words=-1)
