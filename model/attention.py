"""Which positions each layer may look at, and the attention itself.

A sequence is a text part ([BOS] and the caption's slots) and an image part (the codes in raster
order). Text sees the text before it and itself. An image position sees all text, pads too, and
of the image what its layer's kind allows, delta = its own raster index minus the other's
(Ramesh et al. 2021, section 2.2 and appendix B.1, figure 11; W = grid width):

    row     0 <= delta <= W                 back to the code directly above, across row edges
    column  0 <= delta, delta mod W == 0    the same column
    conv    delta = r * W + c               r = 0 and 0 <= c <= 5, or 1 <= r <= 5 and |c| <= 5:
                                            an 11 x 11 kernel, causal, that wraps like row
    full    0 <= delta                      dense causal: no layer of the paper

One softmax runs over all that a position sees. These masks are the definition; how a whole stream
is computed without what they leave out stands in `stream_attention.py`.

Shapes: B batch, H heads, L queries, S keys, K head width.
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Kind = Literal["row", "column", "conv", "full"]
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys and values, each B, H, L, K, to outputs of the same shape."""
CONV_RADIUS = 5


def layer_kinds(num_layers: int) -> tuple[Kind, ...]:
    """The paper's order at any depth: row, column, row, row, ... and a convolutional last.

    >>> layer_kinds(7)
    ('row', 'column', 'row', 'row', 'row', 'column', 'conv')
    """
    kinds: list[Kind] = ["column" if i % 4 == 2 else "row" for i in range(1, num_layers)]
    return (*kinds, "conv")


def image_mask(kind: Kind, num_codes: int, grid_width: int) -> Tensor:
    """True where image position q (row of the result) sees k (column), shape [codes, codes]."""
    index = torch.arange(num_codes)
    delta = index[:, None] - index[None, :]
    if kind == "row":
        return (delta >= 0) & (delta <= grid_width)
    if kind == "column":
        return (delta >= 0) & (delta % grid_width == 0)
    if kind == "conv":
        rows = torch.arange(CONV_RADIUS + 1)
        columns = torch.arange(-CONV_RADIUS, CONV_RADIUS + 1)
        allowed = (rows[:, None] * grid_width + columns).flatten()
        return (delta >= 0) & torch.isin(delta, allowed)
    return delta >= 0


def stream_mask(kind: Kind, text_length: int, num_codes: int, grid_width: int) -> Tensor:
    """True where a position may look, shape [L, L] with L = text_length + num_codes."""
    length = text_length + num_codes
    mask = torch.ones(length, length, dtype=torch.bool).tril()
    mask[text_length:, text_length:] = image_mask(kind, num_codes, grid_width)
    return mask


def as_bias(mask: Tensor) -> Tensor:
    """0 where `mask` is True, minus infinity elsewhere: what is added to the scores."""
    return torch.zeros(mask.shape).masked_fill(~mask, float("-inf"))


def attend(q_BHLK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, bias_LS: Tensor) -> Tensor:
    """Softmax attention under a mask, given as a bias: half the time of a boolean one on CPUs."""
    return F.scaled_dot_product_attention(q_BHLK, k_BHSK, v_BHSK, attn_mask=bias_LS)


def attend_causally(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor) -> Tensor:
    """Each position sees those before it and itself, by a kernel that skips the rest."""
    return F.scaled_dot_product_attention(q_BHLK, k_BHLK, v_BHLK, is_causal=True)
