"""Image logits one code after another, from caches that hold what the masks allow and no more.

    decoder = Decoder(model, rows=16)
    logits_BV = decoder.begin(text_BT)                      # of the first code
    logits_BV = decoder.step(codes_B)                       # of the next one, and so on

A layer's cache is one block of keys and one of values: the text part, which every code sees whole,
and behind it the image keys that its kind allows (`key_windows.py`). A step reads that block from
end to end. It does the same operations on the same memory at each code: on a CUDA device they can
be captured once and replayed (`Decoder.step` takes nothing from the host and gives it nothing).

Shapes: B rows, T + 1 text positions, I image codes, N image keys that one code reads, R slots of a
ring, D width, H heads, K head width, S = T + 1 + N, V image codes that there are.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model.attention import Kind
from model.config import HEAD_WIDTH
from model.sampling.key_windows import Window, make_window
from model.transformer import Block, Transformer


@dataclass(frozen=True, slots=True)
class Cache:
    """Keys and values of one layer."""

    k_BHSK: Tensor
    v_BHSK: Tensor
    k_BHRK: Tensor | None
    """The ring, where a code reads a part of it: the part is copied behind the text."""
    v_BHRK: Tensor | None


@dataclass(frozen=True, slots=True)
class Reading:
    """One code's lines of a kind's tables."""

    write_1: Tensor
    read_N: Tensor | None
    bias_1S: Tensor


class Decoder:
    """The caches of `rows` sequences that are decoded side by side."""

    def __init__(self, model: Transformer, rows: int) -> None:
        self.model, self.rows = model.eval(), rows
        layout, place = model.layout, next(model.parameters())
        self.text_length = layout.text_slots + 1
        self.windows: dict[Kind, Window] = {}
        self.biases_IS: dict[Kind, Tensor] = {}
        for kind in set(model.kinds):
            window = make_window(kind, layout.num_codes, layout.grid_width)
            self.windows[kind] = window = window.to(place.device, place.dtype)
            text_IT = window.bias_IN.new_zeros(layout.num_codes, self.text_length)
            self.biases_IS[kind] = torch.cat([text_IT, window.bias_IN], dim=1)
        self.caches = [self._make_cache(self.windows[kind], place) for kind in model.kinds]
        self.index_1 = torch.zeros(1, dtype=torch.long, device=place.device)
        """Raster index of the code that the next step reads."""
        on_gpu = place.device.type == "cuda"
        self.layer = torch.compile(decode_layer, dynamic=False) if on_gpu else decode_layer

    def _make_cache(self, window: Window, like: Tensor) -> Cache:
        def empty(positions: int) -> Tensor:
            shape = (self.rows, self.model.network.num_heads, positions, HEAD_WIDTH)
            return torch.zeros(shape, dtype=like.dtype, device=like.device)

        read = self.text_length + window.width
        ring = (
            (None, None) if window.read_IN is None else (empty(window.slots), empty(window.slots))
        )
        return Cache(empty(read), empty(read), *ring)

    @torch.no_grad()
    def begin(self, text_BT: Tensor) -> Tensor:
        """Read laid-out captions; the logits of the first code, float32 [B, V]."""
        x_BLD = self.model.embed_text(text_BT)
        length = x_BLD.shape[1]
        for _, block, cache in self._layers():
            q_BHLK, k_BHLK, v_BHLK = block.project(x_BLD)
            cache.k_BHSK[:, :, :length], cache.v_BHSK[:, :, :length] = k_BHLK, v_BHLK
            out_BHLK = F.scaled_dot_product_attention(q_BHLK, k_BHLK, v_BHLK, is_causal=True)
            x_BLD = block.finish(x_BLD, out_BHLK)
        self.index_1.zero_()
        return self._logits(x_BLD[:, -1])

    @torch.no_grad()
    def step(self, codes_B: Tensor) -> Tensor:
        """Take in the next code of each row; the logits of the one after it, float32 [B, V]."""
        readings = {kind: self._read(kind) for kind in self.windows}
        x_B1D = self._embed(codes_B)
        for kind, block, cache in self._layers():
            x_B1D = self.layer(block, cache, readings[kind], self.text_length, x_B1D)
        self.index_1.add_(1)
        return self._logits(x_B1D[:, 0])

    def _layers(self) -> Iterator[tuple[Kind, Block, Cache]]:
        yield from zip(self.model.kinds, self.model.blocks, self.caches, strict=True)

    def _read(self, kind: Kind) -> Reading:
        window = self.windows[kind]
        return Reading(
            window.write_I.index_select(0, self.index_1),
            None if window.read_IN is None else window.read_IN.index_select(0, self.index_1)[0],
            self.biases_IS[kind].index_select(0, self.index_1),
        )

    def _embed(self, codes_B: Tensor) -> Tensor:
        width = self.model.layout.grid_width
        rows_1D = self.model.image_row(self.index_1 // width)
        columns_1D = self.model.image_column(self.index_1 % width)
        embedded_BD: Tensor = self.model.image_embedding(codes_B) + rows_1D + columns_1D
        return embedded_BD[:, None]

    def _logits(self, x_BD: Tensor) -> Tensor:
        logits_BV: Tensor = self.model.image_head(self.model.final_norm(x_BD))
        return logits_BV.float()


def decode_layer(
    block: Block, cache: Cache, reading: Reading, text_length: int, x_B1D: Tensor
) -> Tensor:
    """One block at one position: its key and value go into the cache first."""
    q_BH1K, k_BH1K, v_BH1K = block.project(x_B1D)
    if cache.k_BHRK is None or cache.v_BHRK is None or reading.read_N is None:
        place_1 = text_length + reading.write_1
        cache.k_BHSK.index_copy_(2, place_1, k_BH1K)
        cache.v_BHSK.index_copy_(2, place_1, v_BH1K)
    else:
        cache.k_BHRK.index_copy_(2, reading.write_1, k_BH1K)
        cache.v_BHRK.index_copy_(2, reading.write_1, v_BH1K)
        cache.k_BHSK[:, :, text_length:] = cache.k_BHRK.index_select(2, reading.read_N)
        cache.v_BHSK[:, :, text_length:] = cache.v_BHRK.index_select(2, reading.read_N)
    attend_one = attend_on_cpu if x_B1D.device.type == "cpu" else attend_by_sums
    return block.finish(x_B1D, attend_one(q_BH1K, cache.k_BHSK, cache.v_BHSK, reading.bias_1S))


def attend_on_cpu(q_BH1K: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, bias_1S: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q_BH1K, k_BHSK, v_BHSK, attn_mask=bias_1S)


def attend_by_sums(q_BH1K: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, bias_1S: Tensor) -> Tensor:
    """Attention of one query, written as sums: compiled they read each key and value once.

    A GPU's attention kernels give such a query one of the many processors per head.
    """
    scores_BHS = (q_BH1K.float() * k_BHSK.float()).sum(dim=-1) / math.sqrt(q_BH1K.shape[-1])
    weights_BHS = (scores_BHS + bias_1S).softmax(dim=-1)
    out_BH1K = (weights_BHS[..., None] * v_BHSK.float()).sum(dim=2, keepdim=True)
    return out_BH1K.to(q_BH1K.dtype)
