from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.loading.corpora import Corpora, open_corpora, parse_mix
from model.loading.corpus import TokenCorpus
from model.loading.mixing import BLOCK_SAMPLES, Mixing
from tests.model.conftest import LAYOUT, write_corpus
from tokens.manifest import MANIFEST_NAME, read_manifest

WEIGHTS = st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5)


@given(WEIGHTS, st.integers(0, 3 * BLOCK_SAMPLES), st.integers(1, 500))
def test_a_choice_depends_on_the_number_of_the_sample_alone(
    weights: list[float], start: int, count: int
) -> None:
    choices = Mixing(weights, 0).choices(start, count)
    assert len(choices) == count
    one_by_one = Mixing(weights, 0)
    for offset in (0, count // 2, count - 1):
        assert one_by_one.choices(start + offset, 1) == choices[offset : offset + 1]


@given(WEIGHTS, st.integers(0, 3 * BLOCK_SAMPLES), st.integers(1, 500))
def test_used_counts_the_choices(weights: list[float], start: int, count: int) -> None:
    mixing = Mixing(weights, 1)
    counted = np.bincount(mixing.choices(start, count), minlength=len(weights))
    assert (mixing.used(start + count) - mixing.used(start) == counted).all()


@given(WEIGHTS)
def test_a_block_holds_each_corpus_by_its_weight(weights: list[float]) -> None:
    mixing = Mixing(weights, 0)
    assert sum(mixing.quotas) == BLOCK_SAMPLES
    exact = np.array(weights) / sum(weights) * BLOCK_SAMPLES
    assert (abs(mixing.quotas - exact) < 1).all()


def test_another_seed_mixes_otherwise() -> None:
    first, again, other = (Mixing((1, 1), seed).choices(0, 99).tolist() for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        pytest.param((1.0, 0.0), "must be a number above 0", id="zero"),
        pytest.param((1.0, float("nan")), "must be a number above 0", id="not a number"),
        pytest.param((1.0, 1e-6), "less than 1 / 10,000", id="too small"),
    ],
)
def test_refuses_weights(weights: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mixing(weights, 0)


def test_without_weights_the_epochs_end_together(tmp_path: Path) -> None:
    folders = [
        write_corpus(tmp_path / name, train_rows=rows) for name, rows in {"a": 30, "b": 10}.items()
    ]
    assert open_corpora([str(folder) for folder in folders]).weights == (30.0, 10.0)


def test_held_out_pairs_come_from_each_corpus(tmp_path: Path) -> None:
    folders = [write_corpus(tmp_path / name, seed=seed) for seed, name in enumerate("ab")]
    corpora = open_corpora([str(folder) for folder in folders], [3, 1])
    batch = corpora.read_split("val", 8, 0)
    assert batch is not None and len(batch) == 8
    alone = TokenCorpus(str(folders[1])).read_split("val", 2, 0)
    assert alone is not None and (batch.image[6:] == alone.image).all()


def changed(folder: Path, **details: Any) -> TokenCorpus:
    manifest = read_manifest(str(folder))
    manifest.details.update(details)
    (folder / MANIFEST_NAME).write_text(manifest.to_json())
    return TokenCorpus(str(folder))


@pytest.mark.parametrize(
    ("details", "message"),
    [
        pytest.param({"grid_width": 5}, "grid_width is 4 in the first and 5", id="grid"),
        pytest.param({"image_vocab_size": 13}, "image_vocab_size is 12", id="vocabulary"),
        pytest.param({"text_tokenizer_sha256": "x"}, "another text tokenizer", id="text"),
        pytest.param({"image_tokenizer_sha256": "x"}, "another image tokenizer", id="image"),
    ],
)
def test_refuses_corpora_that_do_not_fit_together(
    details: dict[str, Any], message: str, tmp_path: Path
) -> None:
    one = TokenCorpus(str(write_corpus(tmp_path / "a")))
    other = changed(write_corpus(tmp_path / "b"), **details)
    assert one.layout == LAYOUT
    with pytest.raises(ValueError, match=message) as caught:
        Corpora((one, other), (1.0, 1.0))
    assert "\n" not in str(caught.value)


def test_refuses_one_corpus_twice_and_weights_for_others(tokens_folder: Path) -> None:
    corpus = TokenCorpus(str(tokens_folder))
    with pytest.raises(ValueError, match="named twice"):
        Corpora((corpus, corpus), (1.0, 1.0))
    with pytest.raises(ValueError, match="1 tokens folders but 2 weights"):
        Corpora((corpus,), (1.0, 1.0))
    with pytest.raises(ValueError, match="--mix 0.7;1 is no list of weights"):
        parse_mix("0.7;1")
