import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokens.sequence import SequenceLayout, code_dtype, lay_out_text


def test_the_paper_s_stream_has_1280_tokens() -> None:
    layout = SequenceLayout()
    assert (layout.length, layout.num_codes, layout.text_outputs) == (1280, 1024, 16_640)


@given(st.lists(st.lists(st.integers(0, 99), max_size=9), min_size=1, max_size=5))
def test_slots_hold_the_caption_and_then_the_pad_of_their_own_position(
    captions: list[list[int]],
) -> None:
    layout = SequenceLayout(text_slots=5, text_vocab_size=100)
    offsets = np.cumsum([0, *(len(caption) for caption in captions)])
    ids = np.array([i for caption in captions for i in caption], np.uint16)
    text = lay_out_text(layout, ids, offsets)
    assert text.tolist() == [
        [caption[t] if t < len(caption) else 100 + t for t in range(5)] for caption in captions
    ]


@pytest.mark.parametrize(
    ("vocab_size", "dtype"),
    [
        pytest.param(8192, np.uint16, id="the paper's vocabulary"),
        pytest.param(65_536, np.uint16, id="the last that fits 16 bits"),
        pytest.param(65_537, np.uint32, id="the first that does not"),
    ],
)
def test_codes_take_the_smallest_type_that_holds_them(vocab_size: int, dtype: type) -> None:
    assert code_dtype(vocab_size) == dtype


def test_details_without_a_size_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no text_slots"):
        SequenceLayout.from_details({})


@pytest.mark.parametrize("value", [0, -1, 2.5, "64"], ids=str)
def test_refuses_a_size_that_is_no_whole_number_above_zero(value: object) -> None:
    with pytest.raises(ValueError, match="text_slots is"):
        SequenceLayout(text_slots=value)  # type: ignore[arg-type]
