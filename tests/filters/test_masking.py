import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.masking import PERSONAL_DATA, mask_personal_data


def masked(caption, kinds=PERSONAL_DATA):
    return mask_personal_data(pa.array([caption], pa.string()), kinds)[0].as_py()


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("mail ann.lee@example.org!", "mail <email>!"),
        ("ann [at] example [dot] org", "<email>"),
        ("Jürgen.Ä@müller.example", "<email>"),
        ("call (202) 555-0143 now", "call <telephone> now"),
        ("+49 (0)30 1234-567", "<telephone>"),
        ("01 23 45 67 89", "<telephone>"),
        ("Tel.: 1234567", "Tel.: <telephone>"),
        ("from 192.168.0.1 to 255.255.255.255", "from <ip_address> to <ip_address>"),
        ("2001:db8::1", "<ip_address>"),
        ("fe80:0:0:0:0:0:0:1", "<ip_address>"),
        ("http://ann:secret@example.org/cat", "http://<credentials>@example.org/cat"),
        (
            "https://example.org/?token=a1b2&size=3",
            "https://example.org/?token=<credentials>&size=3",
        ),
        ("by @ann_lee on Instagram", "by <handle> on Instagram"),
        ("(@ann.lee.)", "(<handle>.)"),
        ("@ann @bea", "<handle> <handle>"),
    ],
)
def test_masks(caption, expected):
    assert masked(caption) == expected


@pytest.mark.parametrize(
    "caption",
    [
        "",
        "A cat on a mat",
        "2004-08-25 23:31:12",
        "12:30:45",
        "300.1.2.3",
        "1 2 3",
        "1989 Chevrolet 350 400",
        "$ 1,234,567",
        "std::vector",
        "three @ the beach",
        "https://example.org/cat?size=3",
    ],
)
def test_leaves_alone(caption):
    assert masked(caption) == caption


FOUND = {
    "email": "ann@example.org",
    "telephone": "202-555-0143",
    "ip_address": "10.1.2.3",
    "credentials": "ftp://ann:pw@host/cat",
    "handle": "@annlee",
}


@pytest.mark.parametrize("kind", PERSONAL_DATA)
def test_masks_the_kinds_that_are_asked_for_and_no_others(kind):
    caption = " ; ".join(FOUND[name] for name in PERSONAL_DATA)
    pieces = masked(caption, [kind]).split(" ; ")
    for name, piece in zip(PERSONAL_DATA, pieces, strict=True):
        assert (piece != FOUND[name]) == (name == kind)


WORDS = st.text("abc xyz éß猫,.!-", max_size=20)


@settings(deadline=None, max_examples=20)  # a call compiles its patterns: many captions in each
@given(st.lists(st.tuples(WORDS, st.sampled_from(PERSONAL_DATA), WORDS), min_size=20))
def test_finds_what_stands_between_words_and_keeps_the_words(rows):
    captions = pa.array([f"{before} {FOUND[kind]} {after}" for before, kind, after in rows])
    answers = mask_personal_data(captions, PERSONAL_DATA).to_pylist()
    for (before, kind, after), found in zip(rows, answers, strict=True):
        assert f"<{kind}>" in found and "ann" not in found and "0143" not in found
        assert found.startswith(before) and found.endswith(after)


PIECES = WORDS | st.sampled_from(sorted(FOUND.values())) | st.text("@.:/+()1 a", max_size=12)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.lists(PIECES).map(" ".join), min_size=20))
def test_masks_nothing_twice(captions):
    once = mask_personal_data(pa.array(captions, pa.string()), PERSONAL_DATA)
    assert mask_personal_data(once, PERSONAL_DATA).equals(once)


@settings(deadline=None)
@given(st.lists(st.none() | st.text()), st.sets(st.sampled_from(PERSONAL_DATA)))
def test_answers_for_every_caption_whatever_it_holds(captions, kinds):
    column = pa.array(captions, pa.string())
    answer = mask_personal_data(column, kinds)
    assert len(answer) == len(captions) and answer.null_count == column.null_count
    assert kinds or answer.equals(column)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["a.", "a@", "1 ", "+1", "1:", "http://a:", "@a ", "tel 1"])
def test_takes_bounded_time_over_hostile_captions(piece):
    answer = mask_personal_data(pa.array([piece * (300_000 // len(piece))]), PERSONAL_DATA)
    assert len(answer) == 1
