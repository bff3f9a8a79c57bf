import pytest

from filters.caption_length import CaptionLength

RULE = CaptionLength(min_chars=6, min_words=3, max_chars=40, max_words=8)

KEEPS = [
    pytest.param(6, 3, id="exactly the least of both"),
    pytest.param(40, 8, id="exactly the most of both"),
]
DROPS = [
    pytest.param(5, 3, id="one character too few"),
    pytest.param(6, 2, id="one word too few"),
    pytest.param(41, 8, id="one character too many"),
    pytest.param(40, 9, id="one word too many"),
    pytest.param(0, 0, id="an empty caption"),
    pytest.param(None, None, id="no caption"),
]


@pytest.mark.parametrize(("chars", "words"), KEEPS)
def test_keeps(one_row, chars, words):
    assert RULE(one_row(caption_chars=chars, caption_words=words)).tolist() == [False]


@pytest.mark.parametrize(("chars", "words"), DROPS)
def test_drops(one_row, chars, words):
    assert RULE(one_row(caption_chars=chars, caption_words=words)).tolist() == [True]


def test_has_no_greatest_length_by_default(one_row):
    signals = one_row(caption_chars=10**6, caption_words=10**5)
    assert CaptionLength()(signals).tolist() == [False]


def test_refuses_a_negative_threshold():
    with pytest.raises(ValueError, match="min_words is -1; give a number from 0 to 1,000"):
        CaptionLength(min_words=-1)
