import pyarrow as pa
import pytest

from filters.boilerplate import Boilerplate
from filters.signals.boilerplate import measure_boilerplate

KEEPS = [
    pytest.param(0.0, id="no boilerplate"),
    pytest.param(0.5, id="exactly half"),
]
DROPS = [
    pytest.param(0.5001, id="a little more than half"),
    pytest.param(1.0, id="nothing else"),
    pytest.param(None, id="no caption"),
]


@pytest.mark.parametrize("ratio", KEEPS)
def test_keeps(one_row, ratio):
    assert Boilerplate(max_ratio=0.5)(one_row(boilerplate_ratio=ratio)).tolist() == [False]


@pytest.mark.parametrize("ratio", DROPS)
def test_drops(one_row, ratio):
    assert Boilerplate(max_ratio=0.5)(one_row(boilerplate_ratio=ratio)).tolist() == [True]


@pytest.mark.parametrize(
    ("caption", "dropped"),
    [
        ("Part of the Flat Icon Collection (Wed Aug 25 23:31:12 2004)", True),
        ("photographed on 12 May 1999", True),
        ("Two brown dogs asleep on a wooden jetty, photographed in 1999", False),
        ("A red tractor in front of a barn", False),
    ],
)
def test_drops_a_caption_that_is_mainly_boilerplate(one_row, caption, dropped):
    (ratio,) = measure_boilerplate(pa.array([caption]))
    signals = one_row(boilerplate_ratio=ratio[0].as_py())
    assert Boilerplate()(signals).tolist() == [dropped]


def test_refuses_a_share_above_one():
    with pytest.raises(ValueError, match="max_ratio is 50; give a number from 0 to 1"):
        Boilerplate(max_ratio=50)
