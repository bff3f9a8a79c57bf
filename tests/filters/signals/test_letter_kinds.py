import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.signals.letter_kinds import measure_letter_kinds

COLUMNS = ("capitals", "words", "start", "digits", "signs")


def kinds_of(caption):
    columns = measure_letter_kinds(pa.array([caption], pa.string()))
    return dict(zip(COLUMNS, (column[0].as_py() for column in columns), strict=True))


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("", (0, 0, False, 0, 0)),
        ("abcd", (0, 0, False, 0, 0)),
        ("ABCD", (1, 1, True, 0, 0)),
        ("Abcd", (0.25, 1, True, 0, 0)),
        ("A red car", (1 / 7, 1 / 3, True, 0, 0)),
        ("the Old man", (1 / 9, 1 / 3, False, 0, 0)),
        ("don't Won't", (1 / 8, 0.5, False, 0, 2 / 10)),
        ("iPhone", (1 / 6, 0, False, 0, 0)),
        ("1234", (0, 0, False, 1, 0)),
        ("3D 4x", (0.5, 0.5, True, 0.5, 0)),
        ("... !", (0, 0, False, 0, 1)),
        ("\N{GRINNING FACE}a", (0, 0, False, 0, 0.5)),
        ("«Élan»", (0.25, 1, True, 0, 2 / 6)),
        ("猫 12", (0, 0, False, 2 / 3, 0)),
    ],
)
def test_measures_what_a_caption_is_written_with(caption, expected):
    assert kinds_of(caption) == pytest.approx(dict(zip(COLUMNS, expected, strict=True)))


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.text()))
def test_is_a_share_whatever_the_captions(captions):
    capitals, words, _, digits, signs = measure_letter_kinds(pa.array(captions, pa.string()))
    for column in (capitals, words, digits, signs):
        assert len(column) == len(captions)
        assert all(0 <= share <= 1 for share in column.to_pylist())
