"""A recipe's arithmetic is settled before work begins, and is part of what makes tokens stale."""

import pytest

from pipelines import corpus
from pipelines.corpus import Tokenizers
from pipelines.recipe_sections import EncodeSection
from tokens import compiling
from tokens.numerics import REFERENCE, Numerics
from tokens.sequence import SequenceLayout


def make_tokenizers(numerics):
    details = {"text_tokenizer_sha256": "1", "image_tokenizer_sha256": "2", "numerics": numerics}
    return Tokenizers("t", "i", SequenceLayout(), Numerics(), details)


def test_other_arithmetic_makes_tokens_stale():
    assert make_tokenizers("fp32-cpu").sha256 != make_tokenizers("bf16-cpu").sha256


@pytest.mark.parametrize(
    ("mode", "device", "local", "num_gpus", "settled"),
    [
        pytest.param("auto", "auto", True, 0, "fp32-cpu", id="a machine without a GPU"),
        pytest.param("auto", "auto", True, 4, "fp16-cuda", id="a machine with GPUs"),
        pytest.param("auto", "auto", False, 4, "fp32-cpu", id="the driver's GPU is no worker's"),
        pytest.param("auto", "cuda", False, 0, "fp16-cuda", id="workers with GPUs"),
        pytest.param("fp16", "auto", False, 0, "fp16-cuda", id="workers that must have them"),
    ],
)
def test_settles_what_machines_can_do(monkeypatch, mode, device, local, num_gpus, settled):
    monkeypatch.setattr(corpus, "count_gpus", lambda: num_gpus)
    section = EncodeSection(numerics=mode, device=device)
    assert str(corpus._settle_numerics(section, local)) == settled


def test_the_default_is_the_reference_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(corpus, "count_gpus", lambda: 0)
    assert corpus._settle_numerics(EncodeSection(), True) == REFERENCE


def test_a_missing_compiler_is_told_before_work_begins(monkeypatch):
    monkeypatch.setattr(compiling, "_compilers", lambda: ["/nowhere/g++"])
    section = EncodeSection(numerics="bf16")
    with pytest.raises(ValueError, match=r"need a C\+\+ compiler"):
        corpus._settle_numerics(section, True)
    assert str(corpus._settle_numerics(section, False)) == "bf16-cpu"


@pytest.mark.parametrize(("mode", "device"), [("fp16", "cpu"), ("bf16", "cuda")])
def test_a_recipe_with_an_arithmetic_that_the_device_has_not_is_refused(mode, device):
    with pytest.raises(ValueError, match=f"'{mode}', which is not for device '{device}'"):
        EncodeSection(numerics=mode, device=device)
