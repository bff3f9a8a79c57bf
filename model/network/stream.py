"""In which order a layer's positions are computed, and which tiles of its mask that leaves.

Attention is computed in tiles of queries and keys; a tile in which nobody sees anybody is skipped.
The stream's own order, text and then codes in raster order, leaves few tiles of the row and
convolutional masks. Under the column mask a code sees codes all over the picture, and no tile can
be skipped; with the picture transposed it sees its neighbours (Ramesh et al. 2021, figure 11c):

    own order      [BOS] t0 ... t255 | c0 c1 c2 ... c1022
    column layers  [BOS] t0 ... t254 | c0 c32 c64 ... c991, c1 c33 ... c991+31 | t255

Text slots that are left over after a multiple of the grid's height stand at the end, so that no
column lies across the edge of a tile. Tiles of 128 x 128 at the paper's sizes, 257 text positions
and 1,023 codes (100 in all, 55 on and below the diagonal):

                          row    column    conv
    own order             40      55        45
    transposed                    40
    as above                      34
    256 + 1,024           34      27        40    a stream without [BOS]: what the paper's sizes
                                                  leave if nothing is odd

The rest of the difference is the 257th text position, which every code sees and which is in a
tile of its own. Setting it apart (one key, merged by its log sum) costs a pass over all outputs
for 15 % of a tenth of a step.

Shapes: L stream positions in their own order or a layer's, D width.
"""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from model.attention import Kind, stream_mask
from tokens.sequence import SequenceLayout

TILE = 128
"""Positions on a side of a tile: FlexAttention's default."""


@dataclass(frozen=True, slots=True)
class StreamSizes:
    """How long the two parts of the input stream are."""

    text_length: int
    """[BOS] and the caption's slots."""
    num_codes: int
    """Codes that are inputs: all but the last of a picture."""
    grid_height: int
    grid_width: int

    @classmethod
    def of(cls, layout: SequenceLayout) -> "StreamSizes":
        """Of a layout's inputs."""
        text_length, num_codes = layout.text_slots + 1, layout.num_codes - 1
        return cls(text_length, num_codes, layout.grid_height, layout.grid_width)

    @property
    def length(self) -> int:
        return self.text_length + self.num_codes

    @property
    def lead(self) -> int:
        """Text positions that stand before the codes in a column layer."""
        return self.text_length - self.text_length % self.grid_height


def layer_order(kind: Kind, sizes: StreamSizes) -> Tensor | None:
    """Position in the stream's own order of each position in the layer's; None: the same."""
    if kind != "column":
        return None
    grid = torch.arange(sizes.grid_height * sizes.grid_width, device="cpu")
    raster = grid.view(sizes.grid_height, sizes.grid_width).T.flatten()
    codes = raster[raster < sizes.num_codes]
    text = torch.arange(sizes.text_length, device="cpu")
    return torch.cat([text[: sizes.lead], sizes.text_length + codes, text[sizes.lead :]])


@functools.cache
def layer_mask(kind: Kind, sizes: StreamSizes) -> Tensor:
    """`stream_mask` in the layer's order: a CPU tensor, not to be written into."""
    with torch.inference_mode(False), torch.device("cpu"):
        mask = stream_mask(kind, sizes.text_length, sizes.num_codes, sizes.grid_width)
        order_L = layer_order(kind, sizes)
        return mask if order_L is None else mask[order_L][:, order_L].contiguous()


def count_tiles(mask_LS: Tensor, tile: int = TILE) -> int:
    """Tiles of a mask in which anybody sees anybody: what is computed forward and backward."""
    rows, columns = (-(-side // tile) for side in mask_LS.shape)
    padded = mask_LS.new_zeros(rows * tile, columns * tile)
    padded[: mask_LS.shape[0], : mask_LS.shape[1]] = mask_LS
    return int(padded.view(rows, tile, columns, tile).any(dim=3).any(dim=1).sum())


def count_pairs(kind: Kind, sizes: StreamSizes) -> int:
    """Pairs of positions of which one sees the other: what a layer's attention must compute."""
    return int(layer_mask(kind, sizes).sum())
