import pytest

from filters.caption_repetition import CaptionRepetition

RULE = CaptionRepetition(max_rows=10)

KEEPS = [
    pytest.param(10, id="exactly the most"),
    pytest.param(1, id="a caption of its own"),
]
DROPS = [
    pytest.param(11, id="one row too many"),
    pytest.param(2**32 - 1, id="thumbnail for"),
    pytest.param(None, id="no caption"),
]


@pytest.mark.parametrize("caption_count", KEEPS)
def test_keeps(one_row, caption_count):
    assert RULE(one_row(caption_count=caption_count)).tolist() == [False]


@pytest.mark.parametrize("caption_count", DROPS)
def test_drops(one_row, caption_count):
    assert RULE(one_row(caption_count=caption_count)).tolist() == [True]


def test_refuses_a_limit_that_drops_all():
    with pytest.raises(ValueError, match="max_rows is 0; give a number from 1 to"):
        CaptionRepetition(max_rows=0)
