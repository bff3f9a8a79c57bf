import pytest

from filters.clip_similarity import ClipSimilarity

RULE = ClipSimilarity(min_similarity=0.28)

KEEPS = [
    pytest.param(0.28, id="exactly the least"),
    pytest.param(0.45, id="about the picture"),
]
DROPS = [
    pytest.param(0.2799, id="a little less"),
    pytest.param(-0.1, id="about something else"),
    pytest.param(None, id="no picture or no caption"),
]


@pytest.mark.parametrize("clip_similarity", KEEPS)
def test_keeps(one_row, clip_similarity):
    assert RULE(one_row(clip_similarity=clip_similarity)).tolist() == [False]


@pytest.mark.parametrize("clip_similarity", DROPS)
def test_drops(one_row, clip_similarity):
    assert RULE(one_row(clip_similarity=clip_similarity)).tolist() == [True]


def test_refuses_what_is_no_cosine():
    with pytest.raises(ValueError, match="min_similarity is 28; give a number from -1 to 1"):
        ClipSimilarity(min_similarity=28)
