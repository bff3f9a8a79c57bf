import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.signals.cld2 import measure_cld2
from filters.signals.cld3 import measure_cld3
from filters.signals.detectable import MAX_CHARS, detectable

ENGLISH = "The old man is sitting on a wooden bench in the garden with his two dogs"
ITALIAN = "Il vecchio è seduto su una panchina di legno nel giardino con i suoi due cani"
JAPANESE = "老人は二匹の犬と一緒に庭の木のベンチに座っています"


def test_both_detectors_name_the_language_of_a_sentence():
    captions = pa.array([ENGLISH, ITALIAN, JAPANESE])
    languages, probabilities, reliable = measure_cld3(captions)
    assert languages.to_pylist() == ["en", "it", "ja"]
    assert min(probabilities.to_pylist()) > 0.9
    assert reliable.to_pylist() == [True, True, True]
    languages, ratios, reliable = measure_cld2(captions)
    assert languages.to_pylist() == ["en", "it", "ja"]
    assert min(ratios.to_pylist()) > 0.9 and max(ratios.to_pylist()) <= 1
    assert reliable.to_pylist() == [True, True, True]


@pytest.mark.parametrize("caption", ["", " ", "1234", "\N{GRINNING FACE}", "\0\0", "!!"])
def test_neither_detector_names_a_language_without_letters(caption):
    captions = pa.array([caption])
    assert [column.to_pylist() for column in measure_cld3(captions)] == [["und"], [0.0], [False]]
    assert [column.to_pylist() for column in measure_cld2(captions)] == [["un"], [0.0], [False]]


def test_cld2_says_that_it_cannot_tell_a_word_where_cld3_guesses():
    captions = pa.array(["cactus"])
    assert [column.to_pylist() for column in measure_cld2(captions)] == [["un"], [0.0], [False]]
    assert measure_cld3(captions)[0].to_pylist() != ["en"]


def test_reads_across_characters_that_a_detector_refuses():
    broken = ENGLISH.replace(" ", "\0", 3).replace("wooden", "wooden\x85\ufffe\U0010ffff")
    assert measure_cld2(pa.array([broken]))[0].to_pylist() == ["en"]
    assert measure_cld3(pa.array([broken]))[0].to_pylist() == ["en"]


def test_reads_the_beginning_of_a_megabyte():
    captions = pa.array([(ENGLISH + ". ") * 14_000, "x" * 1_000_000, "\0" * 1_000_000])
    assert measure_cld3(captions)[0].to_pylist()[0] == "en"
    assert measure_cld2(captions)[0].to_pylist()[0] == "en"
    assert len(detectable(captions[1].as_py())) == MAX_CHARS


HOSTILE = st.text(
    st.one_of(
        st.characters(exclude_categories=("Cs",)),
        st.sampled_from("\0\x7f\x85\u200d\u202e\ufdd0\ufffe\uffff\U0001fffe\U0010ffff"),
    )
)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(HOSTILE))
def test_no_caption_raises(captions):
    column = pa.array(captions, pa.string())
    for answer in (*measure_cld3(column), *measure_cld2(column)):
        assert len(answer) == len(captions) and answer.null_count == 0


def test_no_character_of_unicode_raises():
    every = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    lines = ["".join(every[start : start + 500]) for start in range(0, len(every), 500)]
    languages, *_ = measure_cld2(pa.array(lines))
    assert len(languages) == len(lines)
