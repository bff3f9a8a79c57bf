import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.signals.word_use import measure_word_use


def use_of(caption):
    return tuple(column[0].as_py() for column in measure_word_use(pa.array([caption], pa.string())))


@pytest.mark.parametrize(
    ("caption", "unique", "two", "three"),
    [
        ("", 1.0, 0.0, 0.0),
        ("!! --", 1.0, 0.0, 0.0),
        ("cat", 1.0, 0.0, 0.0),
        ("cat cat", 0.5, 0.0, 0.0),
        ("Cat, CAT.", 0.5, 0.0, 0.0),
        ("cat cat cat", 1 / 3, 1.0, 0.0),
        ("cat cat cat cat", 0.25, 1.0, 1.0),
        ("a b c d e", 1.0, 0.0, 0.0),
        ("a b a b c", 0.6, 0.8, 0.0),
        ("a b c a b c", 0.5, 4 / 6, 1.0),
        ("a b a c a b a d", 0.5, 0.5, 0.75),
        ("naïve NAÏVE café", 2 / 3, 0.0, 0.0),
        ("猫 猫", 0.5, 0.0, 0.0),
    ],
)
def test_measures_words_and_runs_of_words(caption, unique, two, three):
    assert use_of(caption) == pytest.approx((unique, two, three))


def test_a_run_never_goes_over_from_one_caption_into_the_next():
    captions = pa.array(["a b", "a b", "a b c", "b", "a"])
    _, two, three = measure_word_use(captions)
    assert two.to_pylist() == [0.0] * 5 and three.to_pylist() == [0.0] * 5


def by_hand(words, length):
    runs = [tuple(words[start : start + length]) for start in range(len(words) - length + 1)]
    most = max(map(runs.count, runs), default=0)
    return min(most * length / len(words), 1) if most > 1 else 0


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=9)))
def test_agrees_with_counting_by_hand(captions):
    unique, two, three = measure_word_use(
        pa.array([" ".join(one) for one in captions], pa.string())
    )
    for index, words in enumerate(captions):
        distinct = len(set(words)) / len(words) if words else 1
        assert unique[index].as_py() == pytest.approx(distinct)
        assert two[index].as_py() == pytest.approx(by_hand(words, 2))
        assert three[index].as_py() == pytest.approx(by_hand(words, 3))


@settings(deadline=None)
@given(st.lists(st.text()))
def test_is_a_share_whatever_the_captions(captions):
    for column in measure_word_use(pa.array(captions, pa.string())):
        assert len(column) == len(captions)
        assert all(0 <= share <= 1 for share in column.to_pylist())


@pytest.mark.timeout(20)
def test_takes_bounded_time_over_a_megabyte():
    (unique, *_) = measure_word_use(pa.array(["a b " * 250_000, "x" * 1_000_000]))
    assert unique.to_pylist() == pytest.approx([2 / 2_048, 1.0])
