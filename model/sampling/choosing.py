"""Draw one code per row from logits, by one number in [0, 1) per row.

The numbers come from a generator that the picture's seed keys, all of them before the first code:
what a picture draws depends on no other picture, and a step of decoding asks nothing of the host.

Shapes: B rows, I image codes, V image codes that there are, N of them that may be drawn.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tokens.draw import keyed_generator


def draw_uniforms(seeds: Sequence[int], num_codes: int) -> Tensor:
    """A picture's numbers for its seed, float64 [B, I] in [0, 1)."""
    rows = [keyed_generator(b"", "sample", seed).random(num_codes) for seed in seeds]
    return torch.from_numpy(np.stack(rows))


def choose(
    logits_BV: Tensor, uniform_B: Tensor, temperature: float, top_k: int, top_p: float
) -> Tensor:
    """The code at which the cumulated probability passes `uniform_B`, long [B].

    Args:
        temperature: logits are divided by it, above 0.
        top_k: only the k likeliest codes can be drawn; 0: all.
        top_p: of these only the likeliest that together hold this probability, in (0, 1].
    """
    num_codes = logits_BV.shape[-1]
    top_k = min(top_k, num_codes) or num_codes
    scaled_BN, codes_BN = logits_BV.float() / temperature, None
    if top_k < num_codes or top_p < 1:
        scaled_BN, codes_BN = scaled_BN.topk(top_k)
    odds_BN = scaled_BN.softmax(dim=-1)
    if top_p < 1:
        likelier_BN = odds_BN.cumsum(dim=-1) - odds_BN
        likelier_BN[:, 0] = 0  # rounding may not take away the likeliest
        odds_BN = odds_BN.masked_fill(likelier_BN >= top_p, 0)
    passed_BN = odds_BN.cumsum(dim=-1, dtype=torch.float64)
    target_B1 = uniform_B[:, None] * passed_BN[:, -1:]
    place_B1 = torch.searchsorted(passed_BN, target_B1, right=True).clamp_(max=top_k - 1)
    return (place_B1 if codes_BN is None else codes_BN.gather(1, place_B1))[:, 0]
