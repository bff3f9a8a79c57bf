"""Attention of a whole stream in pieces, each against the pieces that it sees anything of.

For devices on which FlexAttention cannot be trained (a CPU has no backward pass of it). Torch's
attention under a mask computes on a CPU what the mask leaves out: on two AVX2 cores the pieces take
0.3 to 0.4 of its time at the paper's lengths, forward and backward (0.6 of that of its causal
kernel, which skips), and 0.5 to 0.8 at 65 + 255 positions.

Shapes: B batch, H heads, L positions or queries, S keys, K head width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.attention import Attend, Kind, as_bias, attend, attend_causally
from model.network.stream import StreamSizes, layer_mask

PIECE = 64
"""Positions per piece: the best of 32, 64 and 128 by time, all kinds together."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some queries, one after another, and what they see."""

    sees: tuple[int, ...]
    """Indices of the pieces of which any of these queries sees any key."""
    bias_LS: Tensor | None
    """None: each query sees those before it in its own piece, and itself."""

    def to(self, device: torch.device) -> "Piece":
        return Piece(self.sees, None if self.bias_LS is None else self.bias_LS.to(device))


def make_pieces(kind: Kind, sizes: StreamSizes, device: torch.device) -> Attend:
    """Attention piece by piece under the kind's mask."""
    lead = sizes.lead if kind == "column" else sizes.text_length
    edges = [*range(lead, lead + sizes.num_codes, PIECE), lead + sizes.num_codes, sizes.length]
    lengths = [stop - start for start, stop in zip([0, *edges], edges, strict=False)]
    lengths = [length for length in lengths if length]
    pieces = [piece.to(device) for piece in cut_in_pieces(layer_mask(kind, sizes), lengths)]

    def attend_in_pieces(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor) -> Tensor:
        q, k, v = (torch.split(tensor, lengths, dim=2) for tensor in (q_BHLK, k_BHLK, v_BHLK))
        outs = [attend_piece(piece, q[i], k, v) for i, piece in enumerate(pieces)]
        return torch.cat(outs, dim=2)

    return attend_in_pieces


def cut_in_pieces(mask_LS: Tensor, lengths: list[int]) -> list[Piece]:
    """What each of the pieces of these lengths sees of the others."""
    pieces = []
    for i, rows in enumerate(torch.split(mask_LS, lengths)):
        columns = torch.split(rows, lengths, dim=1)
        sees = tuple(j for j, column in enumerate(columns) if column.any())
        causal = sees == (i,) and torch.equal(columns[i], torch.ones_like(columns[i]).tril())
        bias_LS = as_bias(torch.cat([columns[j] for j in sees], dim=1))
        pieces.append(Piece(sees, None if causal else bias_LS))
    return pieces


def attend_piece(piece: Piece, q_BHLK: Tensor, k: Sequence[Tensor], v: Sequence[Tensor]) -> Tensor:
    """Attention of one piece's queries, given the keys and values of all pieces."""
    k_BHSK = torch.cat([k[j] for j in piece.sees], dim=2)
    v_BHSK = torch.cat([v[j] for j in piece.sees], dim=2)
    if piece.bias_LS is None:
        return attend_causally(q_BHLK, k_BHSK, v_BHSK)
    return attend(q_BHLK, k_BHSK, v_BHSK, piece.bias_LS.to(q_BHLK.dtype))
