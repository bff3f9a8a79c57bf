import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.web.usage import reserved_use


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("train-ai=n", "train-ai=n"),
        (" train-ai=n ", "train-ai=n"),
        ("search=y, train-ai=n", "train-ai=n"),
        ("train-ai=n;exceptions=1", "train-ai=n"),
        ("train-ai=y, train-ai=n", "train-ai=n"),
        ('note="a, b", train-ai=n', "train-ai=n"),
        ("list=(1 2);q, train-ai=n", "train-ai=n"),
        ("train-genai=n", "train-genai=n"),
        ("train-ai=n, train-genai=y", "train-ai=n"),
        ("bots=n", "bots=n"),
        ("tdm=n", "tdm=n"),
    ],
)
def test_finds_the_preference_that_reserves_training(text: str, label: str) -> None:
    assert reserved_use(text) == label


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("train-ai=y", id="allowed"),
        pytest.param("search=n, ai-use=n", id="other uses"),
        pytest.param("train-ai=n, train-ai=y", id="the last one counts"),
        pytest.param("train-ai=n, train-ai", id="a boolean is no preference"),
        pytest.param('train-ai="n"', id="a string is no preference"),
        pytest.param("train-ai=N", id="case counts in values"),
        pytest.param("Train-AI=n", id="and breaks keys"),
        pytest.param("train-ai=n,", id="a comma at the end breaks the whole"),
        pytest.param("train-ai=n search=y", id="so does a missing comma"),
        pytest.param("tdm=n, train-ai=y", id="the narrow use goes before the wide one"),
    ],
)
def test_leaves_alone_what_reserves_nothing(text: str) -> None:
    assert reserved_use(text) is None


@given(st.text(st.sampled_from('train-ai=yn,;() "\\:?1.'), max_size=60))
def test_takes_any_text(text: str) -> None:
    reserved_use(text)


def test_reads_hostile_texts_in_linear_time() -> None:
    hostile = ["a=(" + "x;a=1 " * 4000, 'a="' + '\\"' * 8000, "a" + ";a" * 8000 + "!", "a," * 8000]
    started = time.process_time()

    for text in hostile:
        reserved_use(text)

    assert time.process_time() - started < 1
