"""A recipe's words become one arithmetic, or one sentence."""

import numpy as np
import pytest
import torch

from tokens.compiling import require_compiler
from tokens.dvae import Dvae, DvaeSizes
from tokens.dvae_file import dvae_bytes
from tokens.image import NetworkTokenizer, parse_weights
from tokens.numerics import KINDS, REFERENCE, Numerics, settle_numerics
from tokens.vqgan import Vqgan, VqganSizes
from tokens.vqgan_file import vqgan_bytes

SIZES = DvaeSizes(vocab_size=24, hidden=8, decoder_init=6, blocks_per_group=1)


@pytest.mark.parametrize(
    ("mode", "device", "num_gpus", "settled"),
    [
        ("auto", "auto", 0, "fp32-cpu"),
        ("auto", "auto", 2, "fp16-cuda"),
        ("auto", "cpu", 2, "fp32-cpu"),
        ("auto", "cuda", 1, "fp16-cuda"),
        ("fp32", "auto", 0, "fp32-cpu"),
        ("fp32", "auto", 1, "fp32-cuda"),
        ("fp32", "cpu", 1, "fp32-cpu"),
        ("bf16", "auto", 1, "bf16-cpu"),
        ("fp32_compiled", "auto", 0, "fp32_compiled-cpu"),
        ("fp16", "auto", 1, "fp16-cuda"),
    ],
)
def test_settles(mode, device, num_gpus, settled):
    assert str(settle_numerics(mode, device, num_gpus)) == settled


@pytest.mark.parametrize(
    ("mode", "device", "num_gpus", "complaint"),
    [
        ("auto", "cuda", 0, 'device is "cuda", and torch finds no GPU here; give "auto"'),
        ("fp16", "auto", 0, 'numerics "fp16" is for a GPU, and torch finds none here'),
        ("fp16", "cpu", 1, "'fp16', which is not for device 'cpu': give one of fp32, fp32_comp"),
        ("bf16", "cuda", 1, "'bf16', which is not for device 'cuda': give one of fp32, fp16"),
        ("fp8", "auto", 1, "numerics is 'fp8', must be one of fp32, fp32_compiled, bf16, fp16"),
    ],
)
def test_refuses(mode, device, num_gpus, complaint):
    with pytest.raises(ValueError, match=complaint):
        settle_numerics(mode, device, num_gpus)


def test_the_reference_is_float32_on_a_cpu_and_the_compiled_ones_are_the_cpus_own():
    assert str(REFERENCE) == "fp32-cpu"
    compiled = {mode for mode, kinds in KINDS.items() if Numerics(mode, kinds[0]).is_compiled}
    assert compiled == {"fp32_compiled", "bf16"}


def test_a_missing_compiler_is_named_with_the_remedy():
    with pytest.raises(ValueError, match=r"need a C\+\+ compiler .* or give numerics \"fp32\""):
        require_compiler(["/nowhere/g++"])


def test_missing_headers_are_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(ValueError, match=r"need Python's headers \(.*Python\.h; .*, which is not"):
        require_compiler(["sh"])


def make_dvae():
    torch.manual_seed(0)
    return Dvae(SIZES).eval()


def make_vqgan(quantizer):
    torch.manual_seed(0)
    return Vqgan(VqganSizes(40, 12, 24, 32, (1, 2), 1, (1,), quantizer)).eval()


def make_cosine():
    return make_vqgan("cosine")


NETWORKS = pytest.mark.parametrize(
    "make",
    [make_dvae, make_cosine, lambda: make_vqgan("nearest"), lambda: make_vqgan("gumbel")],
    ids=["dvae", "vqgan cosine", "vqgan nearest", "vqgan gumbel"],
)


@NETWORKS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_lowered_encoder_keeps_its_head_and_scores_nearly_alike(make, dtype):
    model, lowered, pixels = make(), make(), torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        lowered.lower_encoder(dtype)
        exact, found = model.scores(pixels), lowered.scores(pixels)
    kinds = {weight.dtype for weight in lowered.encoder.parameters()}
    assert kinds == {dtype, torch.float32}
    assert found.dtype == torch.float32 and not torch.equal(found, exact)
    assert torch.allclose(found, exact, rtol=0.05, atol=0.05 * float(exact.std()))
    decoders = (model.decoder.state_dict(), lowered.decoder.state_dict())
    assert all(torch.equal(*pair) for pair in zip(*(d.values() for d in decoders), strict=True))


def test_the_dvaes_last_layer_is_not_rounded():
    model, lowered = make_dvae(), make_dvae()
    lowered.lower_encoder(torch.bfloat16)
    assert torch.equal(lowered.encoder.blocks.output.conv.w, model.encoder.blocks.output.conv.w)


def test_an_arithmetic_that_overflows_says_so():
    model = make_dvae()
    with torch.no_grad():
        model.encoder.blocks.input.w.fill_(3e38)
    file = parse_weights(dvae_bytes(model, {}, torch.float32), "it")
    tokenizer = NetworkTokenizer(file, "it")
    with pytest.raises(ValueError, match=r"it: numbers beyond the range of fp32-cpu"):
        tokenizer.encode(np.full((1, 8, 8, 3), 255, np.uint8))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method`:DeprecationWarning")  # inductor's own
@pytest.mark.parametrize("mode", ["fp32_compiled", "bf16"])
@pytest.mark.parametrize("make", [make_dvae, make_cosine], ids=["dvae", "vqgan"])
def test_a_compiled_network_chooses_nearly_the_same_codes(mode, make):
    model = make()
    data = (dvae_bytes if make is make_dvae else vqgan_bytes)(model, {}, torch.float32)
    images = np.random.default_rng(0).integers(0, 256, (4, 4, 4, 3), np.uint8)
    images = images.repeat(8, axis=1).repeat(8, axis=2)
    plain = NetworkTokenizer(parse_weights(data, "it"), "it")
    other = NetworkTokenizer(parse_weights(data, "it"), "it", Numerics(mode))
    assert other.numerics == f"{mode}-cpu"
    together = other.encode(images)
    alone = np.concatenate([other.encode(image[None]) for image in images])
    assert np.array_equal(together, alone)
    assert (together == plain.encode(images)).mean() > (0.9 if mode == "bf16" else 0.99)
