"""A fixed picture has these codes: exactly on a CPU, up to near ties in other arithmetic (M04)."""

import hashlib

import numpy as np
import pytest
import torch

from tests.tokens.golden_pictures import fill_with_waves, golden_picture
from tokens.bundled import DVAE_FILE, locate
from tokens.dvae import Dvae, DvaeSizes
from tokens.dvae_file import dvae_bytes, read_dvae
from tokens.image import NetworkTokenizer, load_image_tokenizer, parse_weights
from tokens.numerics import Numerics
from tokens.vqgan import Vqgan, VqganSizes
from tokens.vqgan_file import vqgan_bytes

MARGINS = {"fp32": 1e-5, "fp16": 1e-2, "bf16": 1e-1}
"""By how much of the scores' spread the best code may lead the second and yet be passed by: twice
the largest error of a score that a CPU's rounding to that type makes on this picture (fp16 0.4 % of
the spread, bf16 4.3 %), and a little."""


def bundled_model():
    return read_dvae(locate("bundled", DVAE_FILE)).model


def scores_of(model):
    pixels = torch.from_numpy(golden_picture())[None].permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        return model.scores(pixels)[0].numpy()


def leads(scores):
    """How far the best code is ahead of the second, in spreads of the scores: [h, w]."""
    second, best = np.sort(scores, axis=-1)[..., -2:].transpose(2, 0, 1)
    return (best - second) / scores.std()


def assert_equal_but_for_near_ties(codes, exact_scores, mode):
    differ = codes != exact_scores.argmax(axis=-1)
    assert differ.mean() < 0.05
    assert np.all(leads(exact_scores)[differ] < MARGINS[mode])


def digest(codes):
    return hashlib.sha256(codes.astype("<u4").tobytes()).hexdigest()[:16]


def test_a_fixed_picture_has_its_codes_on_a_cpu():
    codes = load_image_tokenizer("bundled").encode(golden_picture()[None])[0]
    assert codes.shape == (32, 32) and len(np.unique(codes)) > 150
    assert codes[0, :8].tolist() == [176, 881, 881, 894, 712, 865, 712, 314]
    assert digest(codes) == "ff143daf831db266"


def test_no_cpu_rounds_so_much_that_the_codes_would_be_others():
    """The nearest tie of the picture is further than three times the margin of float32."""
    assert leads(scores_of(bundled_model())).min() > 3 * MARGINS["fp32"]


@pytest.mark.parametrize("mode", ["fp16", "bf16"])
def test_a_lower_arithmetic_changes_codes_at_near_ties_alone(mode):
    lowered = bundled_model()
    lowered.lower_encoder({"fp16": torch.float16, "bf16": torch.bfloat16}[mode])
    codes = scores_of(lowered).argmax(axis=-1)
    exact = scores_of(bundled_model())
    assert not np.array_equal(codes, exact.argmax(axis=-1))
    assert_equal_but_for_near_ties(codes, exact, mode)


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["fp32", "fp16"])
def test_a_gpu_changes_codes_at_near_ties_alone(mode):
    tokenizer = load_image_tokenizer("bundled", Numerics(mode, "cuda"))
    codes = tokenizer.encode(golden_picture()[None])[0]
    assert_equal_but_for_near_ties(codes, scores_of(bundled_model()), mode)


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["fp32", "fp16"])
def test_codes_on_a_gpu_do_not_depend_on_the_batch(mode):
    tokenizer = load_image_tokenizer("bundled", Numerics(mode, "cuda"))
    images = np.stack([np.roll(golden_picture(), 8 * shift, axis=1) for shift in range(70)])
    together = tokenizer.encode(images)
    alone = [tokenizer.encode(image[None])[0] for image in images[::23]]
    assert np.array_equal(together[::23], alone)


def small_dvae():
    return dvae_bytes(fill_with_waves(Dvae(DvaeSizes(96, 16, 6, 4, 1))), {}, torch.float32)


def small_vqgan(quantizer):
    sizes = VqganSizes(40, 12, 24, 32, (1, 1, 2), 1, (2,), quantizer)
    return vqgan_bytes(fill_with_waves(Vqgan(sizes)), {})


GOLDEN_DVAE = """
71 71 60 71 71 71 71 71
71 60 60 71 15 71 60 60
71 60 71 74 71 60 60 60
71 74 10 60 60 60 60 60
15 71 60 60 71 71 71 71
15 60 60 60 71 60 60 60
60 60 60 60 71 60 60 60
71 60 60 71 71 71 71 71
"""
GOLDEN_NEAREST = "15 30 4 15  31 31 4 13  23 24 19 2  11 31 4 22"
GOLDEN_GUMBEL = "12 4 4 39  23 33 4 13  23 24 19 10  23 33 4 37"
GOLDEN_COSINE = "31 30 4 15  31 31 4 13  23 24 19 2  11 31 4 22"


@pytest.mark.parametrize(
    ("data", "side_px", "golden"),
    [
        pytest.param(small_dvae, 64, GOLDEN_DVAE, id="dvae"),
        pytest.param(lambda: small_vqgan("nearest"), 16, GOLDEN_NEAREST, id="taming"),
        pytest.param(lambda: small_vqgan("gumbel"), 16, GOLDEN_GUMBEL, id="taming gumbel"),
        pytest.param(lambda: small_vqgan("cosine"), 16, GOLDEN_COSINE, id="llamagen"),
    ],
)
def test_small_weights_of_each_published_layout_have_their_codes(data, side_px, golden):
    tokenizer = NetworkTokenizer(parse_weights(data(), "it"), "it")
    codes = tokenizer.encode(golden_picture(side_px)[None])[0]
    assert codes.ravel().tolist() == [int(code) for code in golden.split()]
