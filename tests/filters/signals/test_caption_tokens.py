import pyarrow as pa
import pytest

from filters.signals.caption_tokens import MOST_TOKENS, measure_caption_tokens
from tokens.bundled import BUNDLED
from tokens.text import load_text_tokenizer


def test_counts_the_ids_that_the_bundled_vocabulary_gives():
    captions = ["", "a", "A cat on a mat, 1989", "naïve 猫", "unbelievable"]
    tokenizer = load_text_tokenizer(BUNDLED)
    expected = [len(tokenizer.encode([caption]).ids) for caption in captions]
    assert measure_caption_tokens(pa.array(captions))[0].to_pylist() == expected
    assert expected[:2] == [0, 1]


@pytest.mark.timeout(20)
def test_stops_counting_a_megabyte():
    (counts,) = measure_caption_tokens(pa.array(["1" * 1_000_000]))
    assert counts.to_pylist() == [MOST_TOKENS]
