import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.signals.contacts import measure_contacts

NONE = (0.0, 0.0, 0.0)


def shares_of(caption):
    return tuple(column[0].as_py() for column in measure_contacts(pa.array([caption], pa.string())))


@pytest.mark.parametrize(
    ("caption", "url", "email", "telephone"),
    [
        ("https://example.org/a_cat.png?size=2", 1, 0, 0),
        ("www.example.net", 1, 0, 0),
        ("example.co.uk/cat", 1, 0, 0),
        ("ann.lee@example.museum", 0, 1, 0),
        ("ann.lee@example.org", 0, 1, 0),
        ("ann [at] example [dot] org", 0, 1, 0),
        ("+49 (0)30 1234-567", 0, 0, 1),
        ("(202) 555-0143", 0, 0, 1),
        ("Tel.: 1234567", 0, 0, 1),
        ("abcdefgh ftp://a.bcde", 8 / 16, 0, 0),
        ("mail a@bc.de now", 0, 5 / 12, 0),
    ],
)
def test_measures_the_share_of_each(caption, url, email, telephone):
    assert shares_of(caption) == pytest.approx((url, email, telephone))


@pytest.mark.parametrize(
    "caption",
    [
        "",
        "A cat at the river",
        "2004-08-25 23:31:12",
        "1989 Chevrolet 350 400 pickup",
        "A page for 12,345,678 dollars",
        "e.g. this, i.e. that",
        "@annlee",
        "Call of the wild 1903",
    ],
)
def test_finds_none_in_a_description(caption):
    assert shares_of(caption) == NONE


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.text()))
def test_is_a_share_whatever_the_captions(captions):
    for column in measure_contacts(pa.array(captions, pa.string())):
        assert len(column) == len(captions)
        assert all(0 <= share <= 1 for share in column.to_pylist())


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["a.", "a@", "1 ", "+1", "(1) ", "http://", "tel ", "[at] a "])
def test_takes_bounded_time_over_hostile_captions(piece):
    (urls, *_) = measure_contacts(pa.array([piece * (1_000_000 // len(piece))] * 3))
    assert len(urls) == 3
