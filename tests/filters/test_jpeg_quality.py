import pytest

from filters.jpeg_quality import JpegQuality

RULE = JpegQuality(min_quality=50)

KEEPS = [
    pytest.param(50, 9_000, id="exactly the least"),
    pytest.param(95, 9_000, id="fine"),
    pytest.param(None, 9_000, id="no JPEG"),
]
DROPS = [
    pytest.param(49, 9_000, id="one step too coarse"),
    pytest.param(1, 9_000, id="blocks"),
    pytest.param(None, None, id="no picture"),
]


@pytest.mark.parametrize(("jpeg_quality", "body_bytes"), KEEPS)
def test_keeps(one_row, jpeg_quality, body_bytes):
    assert RULE(one_row(jpeg_quality=jpeg_quality, body_bytes=body_bytes)).tolist() == [False]


@pytest.mark.parametrize(("jpeg_quality", "body_bytes"), DROPS)
def test_drops(one_row, jpeg_quality, body_bytes):
    assert RULE(one_row(jpeg_quality=jpeg_quality, body_bytes=body_bytes)).tolist() == [True]


@pytest.mark.parametrize(("jpeg_quality", "dropped"), [(None, True), (1, False)])
def test_drops_other_formats_where_the_recipe_wants_jpegs_alone(one_row, jpeg_quality, dropped):
    rule = JpegQuality(min_quality=1, other_formats="drop")
    assert rule(one_row(jpeg_quality=jpeg_quality, body_bytes=9_000)).tolist() == [dropped]


def test_refuses_no_quality():
    with pytest.raises(ValueError, match="min_quality is 0; give a number from 1 to 100"):
        JpegQuality(min_quality=0)
