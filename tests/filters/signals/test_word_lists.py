import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.signals.word_lists import (
    Profanity,
    WordList,
    count_phrases,
    count_unknown,
    split_list,
)

LIST = "darn\n  Heck!\nbloody hell\nwhat the heck\n\n--\n"


@pytest.mark.parametrize(
    ("caption", "count"),
    [
        ("a cat", 0),
        ("", 0),
        ("Darn, a cat", 1),
        ("DARN darn", 2),
        ("darning", 0),
        ("Bloody Hell", 1),
        ("bloody-hell!", 1),
        ("bloody", 0),
        ("hell bloody", 0),
        ("what the heck", 2),
        ("what\nthe  HECK is it", 2),
    ],
)
def test_counts_words_and_phrases_of_the_list(caption, count):
    assert count_phrases(pa.array([caption]), split_list(LIST)).to_pylist() == [count]


def test_a_phrase_never_goes_over_from_one_caption_into_the_next():
    captions = pa.array(["bloody", "hell", "", "what the", "heck"])
    assert count_phrases(captions, split_list(LIST)).to_pylist() == [0, 0, 0, 0, 1]


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.lists(st.sampled_from(["a", "b", "c"]), max_size=7)))
def test_agrees_with_counting_by_hand(captions):
    phrases = [("a",), ("b", "c"), ("c", "a", "b")]
    listed = split_list("\n".join(map(" ".join, phrases)))
    texts = pa.array([" ".join(words) for words in captions], pa.string())
    expected = [
        sum(
            tuple(words[start : start + len(phrase)]) == phrase
            for phrase in phrases
            for start in range(len(words))
        )
        for words in captions
    ]
    assert count_phrases(texts, listed).to_pylist() == expected


@settings(deadline=None)
@given(st.lists(st.text()), st.lists(st.text(), min_size=1))
def test_answers_for_every_caption_and_every_list(captions, entries):
    texts, listed = pa.array(captions, pa.string()), split_list("\n".join(entries))
    assert len(count_phrases(texts, listed)) == len(captions)
    assert len(count_unknown(texts, listed[0])) == len(captions)


@pytest.mark.parametrize(
    ("caption", "count"),
    [("A cat, 1989", 0), ("a cta", 1), ("Xyzzy PLUGH a", 2), ("12 34", 0), ("", 0), ("猫", 1)],
)
def test_counts_words_that_are_not_known(caption, count):
    (known,) = split_list("cat\nA\n")
    assert count_unknown(pa.array([caption]), known).to_pylist() == [count]


def test_the_bundled_list_is_found_whatever_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    signal = Profanity().load()
    assert signal.columns == (("profane_words", pa.int32()),) and signal.needs == "caption"
    (counts,) = signal.measure(pa.array(["A cat in the garden", "what a shit", "shiitake"]))
    assert counts.to_pylist() == [0, 1, 0]
    assert len(Profanity().find()["words_sha256"]) == 64


def test_a_list_of_ones_own_replaces_the_bundled_one(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("cat\n", "utf-8")
    mine = Profanity(str(path))
    (counts,) = mine.load().measure(pa.array(["A cat", "what a shit"]))
    assert counts.to_pylist() == [1, 0]
    before = mine.find()
    path.write_text("cats\n", "utf-8")
    assert mine.find() != before


def test_a_vocabulary_counts_what_it_lacks(tmp_path):
    path = tmp_path / "known.txt"
    path.write_text("cat\na\n", "utf-8")
    signal = WordList(str(path)).load()
    (counts,) = signal.measure(pa.array(["A cat", "a caat"]))
    assert counts.to_pylist() == [0, 1] and signal.columns == (("unknown_words", pa.int32()),)


@pytest.mark.parametrize(
    ("content", "match"),
    [(b"\xff\xfe", "is not UTF-8"), (b" \n\n", "is empty; give one word a line")],
)
def test_a_list_that_cannot_be_read_is_refused(tmp_path, content, match):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"\[score.profanity\] words: .*list\.txt {match}"):
        Profanity(str(path)).find()


def test_a_list_that_is_missing_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\[score.vocabulary\] words is missing; give a file"):
        WordList().find()
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt"):
        WordList(str(tmp_path / "nowhere.txt")).find()
