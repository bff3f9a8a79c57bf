"""FlexAttention under the block masks of the layers, and the rules that they are made of.

A block mask says which tiles of 128 x 128 are computed; inside those that are not seen whole the
rule decides. Masks depend on neither batch nor head nor weights, and are built once.

Shapes: B batch, H heads, L positions in the layer's order, K head width.
"""

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from model.attention import CONV_RADIUS, Attend, Kind
from model.network.stream import TILE, StreamSizes

Rule = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(batch, head, query, key) -> whether the query sees the key."""


def make_flex(kind: Kind, sizes: StreamSizes, device: torch.device) -> Attend:
    """FlexAttention under the kind's block mask; compiled where it can be, on CUDA."""
    mask = make_block_mask(kind, sizes, device)
    flex: Callable[..., Tensor] = flex_attention
    if device.type == "cuda":
        flex = compiled_flex()

    def attend_in_blocks(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor) -> Tensor:
        out_BHLK: Tensor = flex(q_BHLK, k_BHLK, v_BHLK, block_mask=mask)
        return out_BHLK

    return attend_in_blocks


@functools.cache
def compiled_flex() -> Callable[..., Tensor]:
    """One for all kinds; lengths never change, so that nothing is compiled for several."""
    return torch.compile(flex_attention, dynamic=False)


def make_block_mask(kind: Kind, sizes: StreamSizes, device: torch.device) -> BlockMask:
    """Which tiles FlexAttention computes, and the rule inside those that are not seen whole."""
    return create_block_mask(
        mask_rule(kind, sizes),
        B=None,
        H=None,
        Q_LEN=sizes.length,
        KV_LEN=sizes.length,
        device=device,
        BLOCK_SIZE=TILE,
    )


def mask_rule(kind: Kind, sizes: StreamSizes) -> Rule:
    """`layer_mask` as a rule on two positions in the layer's order, in arithmetic alone."""
    text, width, height = sizes.text_length, sizes.grid_width, sizes.grid_height
    lead, stop = sizes.lead, sizes.lead + sizes.num_codes

    def row(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key <= query) & ((key < text) | (query - key <= width))

    def column(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        query_is_code = (query >= lead) & (query < stop)
        key_is_code = (key >= lead) & (key < stop)
        same_column = (query - lead) // height == (key - lead) // height
        of_text = torch.where(query_is_code, True, key <= query)
        of_codes = query_is_code & same_column & (key <= query)
        return torch.where(key_is_code, of_codes, of_text)

    def conv(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        delta = query - key
        # rows up such that the key is at most CONV_RADIUS to the right; the highest in the kernel
        rows = torch.clamp((delta + CONV_RADIUS) // width, max=CONV_RADIUS)
        in_kernel = delta - rows * width <= CONV_RADIUS
        return (key <= query) & ((key < text) | in_kernel)

    rules: dict[Kind, Rule] = {"row": row, "column": column, "conv": conv}
    return rules[kind]
