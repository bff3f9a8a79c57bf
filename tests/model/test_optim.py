import dataclasses
import math

import pytest
import torch
from torch import nn

from model.config import Optim
from model.optim import AdamW, Plateau, clip_gradients, decays, learning_rate
from model.training.average import Average

OPTIM = Optim(1e-2, warmup_steps=10, weight_decay=0.1)


def make_layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(5, 3)


def gradients(scale: float) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [scale * torch.randn(3, 5, generator=generator) for _ in range(6)]


def train(layer: nn.Linear, scale: float, told_norm: float) -> torch.Tensor:
    """Six updates; `told_norm` is what the optimiser is told of the gradients' size."""
    optimizer = AdamW(layer, OPTIM)
    for step, gradient in enumerate(gradients(scale)):
        layer.weight.grad, layer.bias.grad = gradient.clone(), gradient[:, 0].clone()
        optimizer.step(step, 1e-2, told_norm)
    return layer.weight.detach().clone()


def written_out(scale: float, max_variance: float) -> torch.Tensor:
    """Adam's equations, an entry at a time."""
    weight = make_layer().weight.detach().double()
    mean = torch.zeros_like(weight)
    variance = torch.zeros_like(weight)
    for t, gradient in enumerate(gradients(scale), 1):
        mean = 0.9 * mean + 0.1 * gradient
        variance = (0.96 * variance + 0.04 * gradient.double() ** 2).clamp(max=max_variance)
        update = (mean / (1 - 0.9**t)) / ((variance / (1 - 0.96**t)).sqrt() + 1e-8)
        weight = weight - 1e-2 * (0.1 * weight + update)
    return weight.float()


@pytest.mark.parametrize("told_norm", [1.0, 4.0], ids=["fused kernel", "with the limit looked at"])
def test_updates_equal_adam_where_no_variance_is_large(told_norm: float) -> None:
    expected = written_out(scale=0.5, max_variance=math.inf)
    torch.testing.assert_close(train(make_layer(), 0.5, told_norm), expected)


def test_a_variance_is_clipped_at_five_before_it_is_used() -> None:
    result = train(make_layer(), 40.0, told_norm=4.0)
    torch.testing.assert_close(result, written_out(scale=40.0, max_variance=5.0))
    assert not torch.allclose(result, written_out(scale=40.0, max_variance=math.inf))


@pytest.mark.parametrize("norm", [2.2, 2.3, 4.0])
def test_the_limit_holds_when_one_entry_takes_the_whole_gradient(norm: float) -> None:
    """2.2 is left to the fused kernel, for its square is below the limit; 2.3 is not."""
    layer = nn.Linear(1, 1, bias=False)
    start = layer.weight.item()
    optimizer = AdamW(layer, dataclasses.replace(OPTIM, weight_decay=0.0))
    expected, mean, variance = start, 0.0, 0.0
    for step in range(100):
        layer.weight.grad = torch.full((1, 1), norm)
        optimizer.step(step, 1e-2, norm)
        mean, variance = 0.9 * mean + 0.1 * norm, min(5.0, 0.96 * variance + 0.04 * norm**2)
        share = (mean / (1 - 0.9 ** (step + 1))) / (variance / (1 - 0.96 ** (step + 1))) ** 0.5
        expected -= 1e-2 * share
    assert layer.weight.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("blocks.0.query_key_value.weight", True),
        ("blocks.0.query_key_value.bias", False),
        ("blocks.0.attention_norm.weight", False),
        ("text_embedding.weight", False),
        ("image_row.weight", False),
        ("begin", False),
        ("image_head.weight", True),
    ],
)
def test_weight_decay_acts_on_matrices_alone(name: str, expected: bool) -> None:
    assert decays(name) is expected


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        pytest.param(0, 1e-3, id="first update: a tenth of the peak"),
        pytest.param(9, 1e-2, id="end of the warm-up"),
        pytest.param(10, 1e-2, id="the peak"),
        pytest.param(60, (1 + 1 / 32) / 2 * 1e-2, id="half way down"),
        pytest.param(110, 1e-2 / 32, id="the end"),
        pytest.param(500, 1e-2 / 32, id="after the end"),
    ],
)
def test_cosine_schedule(step: int, expected: float) -> None:
    assert learning_rate(OPTIM, step, 110) == pytest.approx(expected)


def test_plateau_schedule_halves_five_times_and_no_more() -> None:
    optim = Optim(1e-2, warmup_steps=10, schedule="plateau")
    plateau, rates = Plateau(), []
    for loss in [3.0, 2.0] + [2.0] * 100:
        plateau.observe(loss)
        rates.append(learning_rate(optim, 50, 100, plateau.halvings))
    assert sorted(set(rates), reverse=True) == [1e-2 / 2**i for i in range(6)]


def test_a_falling_loss_is_no_plateau() -> None:
    plateau = Plateau()
    for interval in range(100):
        plateau.observe(5.0 * 0.99**interval)
    assert plateau.halvings == 0


def test_gradients_are_scaled_to_a_norm_of_four() -> None:
    layer = make_layer()
    layer.weight.grad, layer.bias.grad = torch.full((3, 5), 10.0), torch.zeros(3)
    assert clip_gradients(layer.parameters(), 4.0) == pytest.approx(10 * 15**0.5)
    assert float(layer.weight.grad.norm()) == pytest.approx(4.0, rel=1e-4)


def test_the_average_follows_the_weights_every_few_steps_and_gives_them_back() -> None:
    layer = make_layer()
    average = Average(layer, Optim(ema_decay=0.5, ema_every=2))
    start = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight += 11.0
    average.update(1)
    torch.testing.assert_close(average.values["weight"], start)
    average.update(2)  # first update: decay 1 / 11
    torch.testing.assert_close(average.values["weight"], start + 10.0)
    with average.applied():
        torch.testing.assert_close(layer.weight.detach(), start + 10.0)
    torch.testing.assert_close(layer.weight.detach(), start + 11.0)
