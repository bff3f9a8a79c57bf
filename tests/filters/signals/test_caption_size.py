import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.signals.caption_size import measure_caption_size


@pytest.mark.parametrize(
    ("caption", "chars", "words"),
    [
        ("", 0, 0),
        (" \t\n ", 0, 0),
        ("a cat", 5, 2),
        ("  a  cat \n", 6, 2),
        ("a\u00a0cat\u3000sat", 9, 3),
        ("red_flower-2.svg", 16, 1),
        ("naïve café", 10, 2),
        ("\N{GRINNING FACE}\N{GRINNING FACE}", 2, 1),
        ("a\0b", 3, 1),
    ],
)
def test_counts_characters_and_words(caption, chars, words):
    counted = measure_caption_size(pa.array([caption]))
    assert [column.to_pylist() for column in counted] == [[chars], [words]]


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.text()))
def test_never_counts_more_words_than_characters(captions):
    chars, words = measure_caption_size(pa.array(captions, pa.string()))
    assert len(chars) == len(captions)
    for char_count, word_count in zip(chars.to_pylist(), words.to_pylist(), strict=True):
        assert 0 <= word_count <= char_count
