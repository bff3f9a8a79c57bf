"""The VQGAN that turns pixels into image codes and back (Esser et al. 2021, "Taming Transformers").

Laid out weight name for weight name as taming-transformers publishes it (its models f16 and f8, and
Gumbel f8); LlamaGen's tokenizers (Sun et al. 2024) are the same network under other names, with a
codebook of unit vectors (`vqgan_file.py` translates).

    encoder: 3x3 conv, levels of residual blocks with a halving between them, a middle with
             attention, 3x3 conv, 1x1 conv to the codebook's width
    decoder: the same backwards, one residual block more a level, nearest x2 between levels

Both halves are convolutions but for attention over the smallest grids, so any side that
`VqganSizes.stride` divides will do.

Shape letters: B pictures, C channels, H W pixels, V vocabulary, D codebook width, h w code grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

COLOURS = 3
NORM_GROUPS = 32
NORM_EPSILON = 1e-6

Quantizer = Literal["nearest", "cosine", "gumbel"]


@dataclass(frozen=True, slots=True)
class VqganSizes:
    """The widths and depths of a VQGAN; the defaults are those of taming's f16 of 16,384 codes."""

    vocab_size: int = 16_384
    """Number of image codes."""
    code_width: int = 256
    """Length of a codebook vector."""
    latent_width: int = 256
    """Channels between the halves and the codebook's projections."""
    channels: int = 128
    """Of the level at full resolution."""
    multiples: tuple[int, ...] = (1, 1, 2, 2, 4)
    """Channels of each level over `channels`; from level to level a side is halved."""
    blocks_per_level: int = 2
    """Residual blocks of a level of the encoder; the decoder has one more."""
    attention_levels: tuple[int, ...] = (4,)
    """Levels whose blocks are each followed by attention."""
    quantizer: Quantizer = "nearest"
    """How a code is chosen: the nearest vector, the nearest direction, or the largest logit."""

    def __post_init__(self) -> None:
        counts = ("vocab_size", "code_width", "latent_width", "channels", "blocks_per_level")
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least 1")
        if not self.multiples or min(self.multiples) < 1 or self.channels % NORM_GROUPS:
            raise ValueError(
                f"channels is {self.channels} times {list(self.multiples)}, must be multiples of "
                f"{NORM_GROUPS}"
            )
        if self.quantizer not in get_args(Quantizer):
            raise ValueError(
                f"quantizer is {self.quantizer!r}, must be one of {get_args(Quantizer)}"
            )

    @property
    def stride(self) -> int:
        """Pixels per code along a side."""
        return 1 << (len(self.multiples) - 1)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, from full resolution to the codes."""
        return tuple(self.channels * multiple for multiple in self.multiples)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(NORM_GROUPS, channels, NORM_EPSILON)


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity, or beside a 1x1 convolution where widths differ."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(n_in), nn.Conv2d(n_in, n_out, 3, padding=1)
        self.norm2, self.conv2 = _norm(n_out), nn.Conv2d(n_out, n_out, 3, padding=1)
        if n_in != n_out:
            self.nin_shortcut = nn.Conv2d(n_in, n_out, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """[B, n_in, H, W] -> [B, n_out, H, W]"""
        h_BCHW = self.conv1(F.silu(self.norm1(x_BCHW)))
        h_BCHW = self.conv2(F.silu(self.norm2(h_BCHW)))
        beside = self.nin_shortcut(x_BCHW) if hasattr(self, "nin_shortcut") else x_BCHW
        summed: Tensor = beside + h_BCHW
        return summed


class Attention(nn.Module):
    """One head of attention over all places, beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]"""
        normed = self.norm(x_BCHW)
        q, k, v = (part(normed).flatten(2).mT for part in (self.q, self.k, self.v))  # (B, HW, C)
        mixed_BNC = F.scaled_dot_product_attention(q, k, v)
        mixed: Tensor = self.proj_out(mixed_BNC.mT.reshape(x_BCHW.shape))
        return x_BCHW + mixed


class Halve(nn.Module):
    """A convolution of stride 2, padded below and to the right alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H / 2, W / 2]"""
        halved: Tensor = self.conv(F.pad(x_BCHW, (0, 1, 0, 1)))
        return halved


class Double(nn.Module):
    """Nearest x2 and a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, 2 H, 2 W]"""
        doubled: Tensor = self.conv(F.interpolate(x_BCHW, scale_factor=2.0, mode="nearest"))
        return doubled


class Level(nn.Module):
    """Residual blocks of one resolution, each followed by attention where the level has it."""

    def __init__(self, n_in: int, n_out: int, blocks: int, attends: bool) -> None:
        super().__init__()
        ends = [n_in, *[n_out] * blocks]
        self.block = nn.ModuleList(Residual(ends[n], ends[n + 1]) for n in range(blocks))
        self.attn = nn.ModuleList(Attention(n_out) for _ in range(blocks if attends else 0))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """[B, n_in, H, W] -> [B, n_out, H, W], halved or doubled where the level says so"""
        for number, block in enumerate(self.block):
            x_BCHW = block(x_BCHW)
            if self.attn:
                x_BCHW = self.attn[number](x_BCHW)
        for name in ("downsample", "upsample"):
            if hasattr(self, name):
                x_BCHW = getattr(self, name)(x_BCHW)
        return x_BCHW


class Middle(nn.Module):
    """Between the levels and the codes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1, self.attn_1 = Residual(channels, channels), Attention(channels)
        self.block_2 = Residual(channels, channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]"""
        mixed: Tensor = self.block_2(self.attn_1(self.block_1(x_BCHW)))
        return mixed


class Encoder(nn.Module):
    """Pixels in [-1, 1], [B, 3, H, W] -> latents [B, latent_width, h, w]."""

    def __init__(self, sizes: VqganSizes) -> None:
        super().__init__()
        widths, last = sizes.widths, len(sizes.widths) - 1
        self.conv_in = nn.Conv2d(COLOURS, sizes.channels, 3, padding=1)
        self.down = nn.ModuleList()
        for number, width in enumerate(widths):
            n_in = widths[number - 1] if number else sizes.channels
            attends = number in sizes.attention_levels
            level = Level(n_in, width, sizes.blocks_per_level, attends)
            if number != last:
                level.downsample = Halve(width)
            self.down.append(level)
        self.mid = Middle(widths[-1])
        self.norm_out = _norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], sizes.latent_width, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The layers from `norm_out` on may be of another dtype than those before."""
        x_BCHW = self.conv_in(x_BCHW.to(self.conv_in.weight.dtype))
        for level in self.down:
            x_BCHW = level(x_BCHW)
        x_BCHW = self.mid(x_BCHW).to(self.conv_out.weight.dtype)
        latents: Tensor = self.conv_out(F.silu(self.norm_out(x_BCHW)))
        return latents


class Decoder(nn.Module):
    """Latents [B, latent_width, h, w] -> pixels about [-1, 1], [B, 3, H, W].

    `up` counts its levels as the encoder does, from full resolution: they run backwards.
    """

    def __init__(self, sizes: VqganSizes) -> None:
        super().__init__()
        widths, last = sizes.widths, len(sizes.widths) - 1
        self.conv_in = nn.Conv2d(sizes.latent_width, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1])
        self.up = nn.ModuleList()
        for number, width in enumerate(widths):
            attends = number in sizes.attention_levels
            n_in = widths[min(last, number + 1)]
            level = Level(n_in, width, sizes.blocks_per_level + 1, attends)
            if number:
                level.upsample = Double(width)
            self.up.append(level)
        self.norm_out = _norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], COLOURS, 3, padding=1)

    def forward(self, z_BChw: Tensor) -> Tensor:
        x_BCHW = self.mid(self.conv_in(z_BChw))
        for level in reversed(self.up):
            x_BCHW = level(x_BCHW)
        pixels: Tensor = self.conv_out(F.silu(self.norm_out(x_BCHW)))
        return pixels


class Codebook(nn.Module):
    """Vectors, of which the nearest to a latent gives its code; by direction where `unit`."""

    def __init__(self, sizes: VqganSizes) -> None:
        super().__init__()
        self.embedding = nn.Embedding(sizes.vocab_size, sizes.code_width)
        self.unit = sizes.quantizer == "cosine"

    def vectors(self) -> Tensor:
        """[V, D]"""
        vectors = self.embedding.weight
        return F.normalize(vectors, dim=-1) if self.unit else vectors

    def scores(self, z_BDhw: Tensor) -> Tensor:
        """The larger the nearer: [B, h, w, V]"""
        z_BhwD = z_BDhw.movedim(1, -1)
        z_BhwD = F.normalize(z_BhwD, dim=-1) if self.unit else z_BhwD
        vectors = self.vectors()
        # -|z - e|^2 without |z|^2, which is the same for all
        return 2 * z_BhwD @ vectors.mT - vectors.square().sum(1)


class Logits(nn.Module):
    """A score for each code, learnt with Gumbel noise (Jang et al. 2017); the largest gives it."""

    def __init__(self, sizes: VqganSizes) -> None:
        super().__init__()
        self.proj = nn.Conv2d(sizes.code_width, sizes.vocab_size, 1)
        self.embed = nn.Embedding(sizes.vocab_size, sizes.code_width)

    def vectors(self) -> Tensor:
        """[V, D]"""
        return self.embed.weight

    def scores(self, z_BDhw: Tensor) -> Tensor:
        """[B, h, w, V]"""
        scores_BVhw: Tensor = self.proj(z_BDhw)
        return scores_BVhw.movedim(1, -1)


class Vqgan(nn.Module):
    """Both halves and the codebook between them."""

    def __init__(self, sizes: VqganSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.encoder, self.decoder = Encoder(sizes), Decoder(sizes)
        self.quant_conv = nn.Conv2d(sizes.latent_width, sizes.code_width, 1)
        self.post_quant_conv = nn.Conv2d(sizes.code_width, sizes.latent_width, 1)
        self.quantize = Logits(sizes) if sizes.quantizer == "gumbel" else Codebook(sizes)

    def on(self, device: torch.device) -> Vqgan:
        """The same model, moved to a device, its weights in the layout that is fastest there."""
        self.to(device)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as in Dvae
        return self

    def lower_encoder(self, dtype: torch.dtype) -> None:
        """Let the encoder compute in `dtype` up to its last norm; what follows, from there to the
        nearest vector, stays in float32."""
        for part in (self.encoder.conv_in, self.encoder.down, self.encoder.mid):
            part.to(dtype)

    def scores(self, pixels_BCHW: Tensor) -> Tensor:
        """How well each code fits: pixels in [0, 1] -> float32 [B, h, w, V]."""
        scores_BhwV: Tensor = self.quantize.scores(
            self.quant_conv(self.encoder(2 * pixels_BCHW - 1))
        )
        return scores_BhwV

    def codes(self, pixels_BCHW: Tensor) -> Tensor:
        """The lowest of the best codes at each place: pixels in [0, 1] -> int64 [B, h, w]."""
        return self.scores(pixels_BCHW).argmax(dim=-1)

    def pixels(self, codes_Bhw: Tensor) -> Tensor:
        """The picture that codes stand for: int64 [B, h, w] -> pixels in [0, 1], [B, 3, H, W]."""
        z_BDhw = F.embedding(codes_Bhw, self.quantize.vectors()).movedim(-1, 1)
        drawn: Tensor = self.decoder(self.post_quant_conv(z_BDhw))
        return ((drawn + 1) / 2).clamp(0, 1)
