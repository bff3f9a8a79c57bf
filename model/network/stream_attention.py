"""Attention over whole streams: a record per kind of layer, that skips what its mask leaves out.

    attention = stream_attention(kind, sizes, device)           # made once and kept
    out_BHLK = attention(q_BHLK, k_BHLK, v_BHLK)                # in the layer's order (stream.py)

    full        torch's causal kernel
    CUDA        FlexAttention with a static block mask, compiled
    elsewhere   the stream in pieces, each against the pieces that it sees anything of

All agree within rounding with a softmax under `stream_mask`.

The order of a column layer costs two gathers of the residual stream, one before its block and one
after: half of what gathering queries, keys, values and outputs would move, and the norm, the
matrices and the residual do not care about order.

Shapes: B batch, H heads, L positions in the layer's order, K head width, D width.
"""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from model.attention import Attend, Kind, attend_causally
from model.network.attention_blocks import make_flex
from model.network.attention_pieces import make_pieces
from model.network.stream import StreamSizes, layer_order


@dataclass(frozen=True, slots=True, eq=False)
class StreamAttention:
    """One kind of layer's attention; queries, keys and values stand in the layer's order."""

    attend: Attend
    order_L: Tensor | None = None
    """As `layer_order` says; None: the stream's own."""
    inverse_L: Tensor | None = None

    def __call__(self, q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor) -> Tensor:
        return self.attend(q_BHLK, k_BHLK, v_BHLK)

    def arrange(self, x_BLD: Tensor) -> Tensor:
        """From the stream's own order to the layer's."""
        return x_BLD if self.order_L is None else x_BLD.index_select(1, self.order_L)

    def restore(self, x_BLD: Tensor) -> Tensor:
        """From the layer's order to the stream's own."""
        return x_BLD if self.inverse_L is None else x_BLD.index_select(1, self.inverse_L)


@functools.cache
def stream_attention(kind: Kind, sizes: StreamSizes, device: torch.device) -> StreamAttention:
    """The fastest exact way on `device`; one record for all layers and all models."""
    if kind == "full":
        return StreamAttention(attend_causally)
    # what is kept here outlives an evaluation that may be the first to ask for it
    with torch.inference_mode(False):
        make = make_flex if device.type == "cuda" else make_pieces
        order_L = layer_order(kind, sizes)
        if order_L is None:
            return StreamAttention(make(kind, sizes, device))
        order_L = order_L.to(device)
        return StreamAttention(make(kind, sizes, device), order_L, order_L.argsort())
