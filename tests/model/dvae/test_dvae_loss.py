"""The dVAE's loss is the density and the divergence that the paper writes down."""

import math

import pytest
import torch

from model.dvae.loss import (
    MIN_LOG_SCALE,
    dvae_loss,
    kl_to_uniform,
    logit_laplace,
    perplexity,
    relax,
)
from model.dvae.schedule import cosine, ema_decay


@pytest.mark.parametrize(
    ("mu", "log_b"),
    [
        pytest.param(0.0, 0.0, id="in the middle"),
        pytest.param(1.5, -1.0, id="bright and narrow"),
        pytest.param(-2.0, 0.5, id="dark and wide"),
        pytest.param(0.3, MIN_LOG_SCALE + 2, id="nearly certain"),
    ],
)
def test_the_logit_laplace_density_integrates_to_one(mu: float, log_b: float) -> None:
    x = (torch.arange(2_000_000, dtype=torch.float64) + 0.5) / 2_000_000
    statistics = torch.tensor([mu, log_b], dtype=torch.float64).reshape(1, 2, 1, 1)
    density = logit_laplace(x.reshape(1, 1, 1, -1), statistics.expand(1, 2, 1, len(x))).exp()
    assert density.mean().item() == pytest.approx(1.0, abs=2e-3)


def test_ln_b_has_a_floor_of_one_step_of_an_8_bit_picture() -> None:
    x = torch.full((1, 1, 1, 1), 0.9)
    at_floor = torch.tensor([2.0, MIN_LOG_SCALE]).reshape(1, 2, 1, 1)
    below = torch.tensor([2.0, MIN_LOG_SCALE - 30]).reshape(1, 2, 1, 1)
    assert torch.equal(logit_laplace(x, below), logit_laplace(x, at_floor))


def test_the_divergence_is_zero_at_uniform_and_ln_v_at_certainty() -> None:
    uniform = torch.full((1, 16, 2, 2), 3.0)
    certain = torch.zeros(1, 16, 2, 2)
    certain[:, 5] = 1000.0
    assert kl_to_uniform(uniform).abs().max().item() < 1e-5
    assert kl_to_uniform(certain).tolist() == [[[pytest.approx(math.log(16))] * 2] * 2]


def test_the_divergence_is_ln_v_minus_the_entropy() -> None:
    q = torch.tensor([0.5, 0.25, 0.25, 1e-30])
    kl = kl_to_uniform(q.log().reshape(1, 4, 1, 1)).item()
    assert kl == pytest.approx(math.log(4) - 1.5 * math.log(2), abs=1e-5)


def test_the_kl_weight_counts_positions_against_colour_values() -> None:
    mapped = torch.full((2, 3, 16, 16), 0.5)
    logits = torch.randn(2, 8, 2, 2, generator=torch.Generator().manual_seed(0))
    loss = dvae_loss(mapped, logits, torch.zeros(2, 6, 16, 16), kl_weight=6.6)
    assert loss.total.item() == pytest.approx(loss.nats.item() + 6.6 / 192 * loss.kl.item())
    assert loss.nats.item() == pytest.approx(math.log(2 * 0.25))


def test_a_relaxed_sample_adds_up_to_one_and_hardens_as_it_cools() -> None:
    logits = torch.randn(4, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    warm = relax(logits, 1.0, torch.Generator().manual_seed(1))
    cold = relax(logits, 1 / 16, torch.Generator().manual_seed(1))
    assert torch.allclose(warm.sum(dim=1), torch.ones(4, 3, 3))
    assert torch.equal(warm.argmax(dim=1), cold.argmax(dim=1))
    assert cold.amax(dim=1).mean() > warm.amax(dim=1).mean() + 0.2
    assert (warm > 0).all(), "the relaxation is soft: no straight-through"


def test_relaxed_samples_pick_codes_as_often_as_the_encoder_says() -> None:
    shares = torch.tensor([0.6, 0.3, 0.1])
    logits = shares.log().reshape(1, 3, 1, 1).expand(1, 3, 200, 200)
    picked = relax(logits, 0.1, torch.Generator().manual_seed(2)).argmax(dim=1)
    found = torch.bincount(picked.flatten(), minlength=3) / picked.numel()
    assert torch.allclose(found, shares, atol=0.01)


def test_perplexity_is_the_number_of_codes_used_alike() -> None:
    assert perplexity(torch.tensor([5, 5, 0, 5, 5])) == pytest.approx(4.0)
    assert perplexity(torch.tensor([0, 9])) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("step", "value"),
    [
        pytest.param(0, 1.0, id="starts at the start"),
        pytest.param(50, 0.625, id="is half-way at the middle"),
        pytest.param(100, 0.25, id="ends at the end"),
        pytest.param(10_000, 0.25, id="stays there"),
    ],
)
def test_a_cosine_schedule_runs_from_start_to_end(step: int, value: float) -> None:
    assert cosine(step, 1.0, 0.25, 100) == pytest.approx(value)


def test_a_schedule_of_no_length_is_at_its_end() -> None:
    assert cosine(0, 0.0, 6.6, 0) == 6.6


def test_the_average_follows_at_once_and_settles_at_its_decay() -> None:
    assert ema_decay(0, 0.999) == pytest.approx(0.1)
    assert ema_decay(8990, 0.999) == pytest.approx(0.999)
    assert ema_decay(10**6, 0.999) == 0.999
