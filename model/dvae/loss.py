"""What dVAE training minimises (Ramesh et al. 2021, section 2.1, appendices A.2 and A.3).

    loss = -ln p(x | z) + kl_weight * KL(q || uniform), z from the Gumbel-softmax relaxation of q

Both terms are sums, over pixels and over code positions, and the whole is divided by the number of
colour values of a picture. The KL term takes q as the encoder gives it, unrelaxed. The relaxation
is not made hard: no straight-through.

Shape letters: B pictures, C colours, S = 2 C statistics, H W pixels, V vocabulary, h w code grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

MIN_LOG_SCALE = math.log(0.8 / 255)
"""The least ln b: one step of an 8-bit picture, after pixel mapping.

A picture with exactly flat areas, as clip art has, would otherwise drive b to 0 and its density to
infinity, and the rest of the picture would no longer count. Photographs never come near the limit.
"""


@dataclass(frozen=True, slots=True)
class DvaeLoss:
    """The loss of one batch and the two terms that it is made of."""

    total: Tensor
    """What is minimised, per colour value."""

    nats: Tensor
    """-ln p(x | z) per colour value of the mapped pixels; a density, so it may be negative."""

    kl: Tensor
    """KL(q || uniform) in nats per code position, between 0 and ln V."""


def relax(logits_BVhw: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    """A Gumbel-softmax sample of the codes: weights [B, V, h, w] that add up to 1 over V."""
    noise = torch.empty_like(logits_BVhw).exponential_(generator=generator).log().neg()
    return F.softmax((logits_BVhw + noise) / temperature, dim=1)


def logit_laplace(
    mapped_BCHW: Tensor, statistics_BSHW: Tensor, min_log_scale: float = MIN_LOG_SCALE
) -> Tensor:
    """The log density of mapped pixels in (0, 1), each its own, [B, C, H, W].

    ln f(x | mu, b) = -ln(2 b x (1 - x)) - |logit(x) - mu| / b, with mu and ln b from the decoder.
    """
    mu_BCHW, log_b_BCHW = statistics_BSHW.chunk(2, dim=1)
    log_b_BCHW = log_b_BCHW.clamp(min=min_log_scale)
    volume_BCHW = math.log(2) + mapped_BCHW.log() + (-mapped_BCHW).log1p()
    distance_BCHW = (torch.logit(mapped_BCHW) - mu_BCHW).abs()
    return -(volume_BCHW + log_b_BCHW) - distance_BCHW * torch.exp(-log_b_BCHW)


def kl_to_uniform(logits_BVhw: Tensor) -> Tensor:
    """KL(q || uniform) = ln V - H(q) at each code position, [B, h, w]."""
    log_q_BVhw = F.log_softmax(logits_BVhw, dim=1)
    return math.log(logits_BVhw.shape[1]) + (log_q_BVhw.exp() * log_q_BVhw).sum(dim=1)


def dvae_loss(
    mapped_BCHW: Tensor,
    logits_BVhw: Tensor,
    statistics_BSHW: Tensor,
    kl_weight: float,
    min_log_scale: float = MIN_LOG_SCALE,
) -> DvaeLoss:
    """Both terms as sums over a picture, divided by its colour values, averaged over the batch."""
    nats = -logit_laplace(mapped_BCHW, statistics_BSHW, min_log_scale).mean()
    kl = kl_to_uniform(logits_BVhw).mean()
    positions_per_value = logits_BVhw[0, 0].numel() / mapped_BCHW[0].numel()
    return DvaeLoss(nats + kl_weight * positions_per_value * kl, nats, kl)


def perplexity(counts_V: Tensor) -> float:
    """How many codes are in use, as the exponential of their entropy: between 1 and V."""
    shares_V = counts_V.double() / counts_V.sum().clamp(min=1)
    return math.exp(-float(torch.xlogy(shares_V, shares_V).sum()))
