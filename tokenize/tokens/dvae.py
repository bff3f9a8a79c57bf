"""The discrete variational autoencoder that turns pixels into image codes and back.

Ramesh et al. 2021, section 2.1 and appendix A.1, laid out layer for layer and weight name for
weight name as OpenAI published it, so that weights of the published layout load by name:

    encoder: 7x7 conv, groups of residual blocks with a 2x2 max-pool between them, ReLU, 1x1 conv
    decoder: 1x1 conv (the codebook), groups with nearest x2 upsampling between, ReLU, 1x1 conv

With the default of four groups a side shrinks by 8: 256 px become 32 x 32 codes. Both halves are
fully convolutional, so any side that `DvaeSizes.stride` divides will do.

Shape letters: B pictures, C channels, H W pixels, V vocabulary, h w code grid, N and M any widths.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PIXEL_MARGIN = 0.1
"""How far mapped pixels stay from 0 and 1, where the logit is infinite (appendix A.3)."""

COLOURS = 3


@dataclass(frozen=True, slots=True)
class DvaeSizes:
    """The widths and depths of a dVAE; the defaults are those of the published weights."""

    vocab_size: int = 8192
    """Number of image codes."""

    hidden: int = 256
    """Channels of the group at full resolution; each group towards the codes doubles them."""

    decoder_init: int = 128
    """Length of a codebook vector, the decoder's first width."""

    group_count: int = 4
    """Groups of residual blocks in each half."""

    blocks_per_group: int = 2
    """Residual blocks in each group."""

    def __post_init__(self) -> None:
        least = {"vocab_size": 2, "hidden": 4, "decoder_init": 1, "group_count": 1}
        for name, limit in {**least, "blocks_per_group": 1}.items():
            if getattr(self, name) < limit:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least {limit}")
        if self.hidden % 4:
            raise ValueError(f"hidden is {self.hidden}, must be a multiple of 4 (bottlenecks)")

    @property
    def stride(self) -> int:
        """Pixels per code along a side: one halving between each two groups."""
        return 1 << (self.group_count - 1)

    @property
    def post_gain(self) -> float:
        """What a residual branch is multiplied by: small, so that a deep stack starts stable."""
        return 1.0 / (self.group_count * self.blocks_per_group) ** 2


class Conv(nn.Module):
    """A convolution of odd width that keeps height and width, with the published names `w` and `b`.

    `full_precision` keeps the layers beside the relaxation in float32 under autocast.
    """

    def __init__(self, n_in: int, n_out: int, width: int, full_precision: bool = False) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.empty(n_out, n_in, width, width))
        self.b = nn.Parameter(torch.zeros(n_out))
        self.full_precision = full_precision
        nn.init.normal_(self.w, std=(n_in * width**2) ** -0.5)

    def forward(self, x_BNHW: Tensor) -> Tensor:
        """[B, n_in, H, W] -> [B, n_out, H, W]"""
        padding = self.w.shape[-1] // 2
        if not self.full_precision:
            return F.conv2d(x_BNHW, self.w, self.b, padding=padding)
        with torch.autocast(x_BNHW.device.type, enabled=False):
            return F.conv2d(x_BNHW.float(), self.w, self.b, padding=padding)


class Block(nn.Module):
    """A bottleneck residual block of four convolutions, a quarter of `n_out` wide inside.

    `widths` are the four kernels: (3, 3, 3, 1) in the encoder, (1, 3, 3, 3) in the decoder.
    """

    def __init__(
        self, n_in: int, n_out: int, post_gain: float, widths: tuple[int, int, int, int]
    ) -> None:
        super().__init__()
        inner = n_out // 4
        ends = ((n_in, inner), (inner, inner), (inner, inner), (inner, n_out))
        path: OrderedDict[str, nn.Module] = OrderedDict()
        for number, ((first, last), width) in enumerate(zip(ends, widths, strict=True), start=1):
            path[f"relu_{number}"] = nn.ReLU()
            path[f"conv_{number}"] = Conv(first, last, width)
        self.post_gain = post_gain
        self.id_path = Conv(n_in, n_out, 1) if n_in != n_out else nn.Identity()
        self.res_path = nn.Sequential(path)

    def forward(self, x_BNHW: Tensor) -> Tensor:
        """[B, n_in, H, W] -> [B, n_out, H, W]"""
        return torch.add(self.id_path(x_BNHW), self.res_path(x_BNHW), alpha=self.post_gain)


class Encoder(nn.Module):
    """Mapped pixels [B, 3, H, W] -> logits over the codes [B, V, H / stride, W / stride]."""

    def __init__(self, sizes: DvaeSizes) -> None:
        super().__init__()
        widths = [sizes.hidden << group for group in range(sizes.group_count)]
        blocks: OrderedDict[str, nn.Module] = OrderedDict(input=Conv(COLOURS, sizes.hidden, 7))
        blocks |= _groups(sizes, sizes.hidden, widths, (3, 3, 3, 1), "pool", nn.MaxPool2d(2))
        blocks["output"] = _output(Conv(widths[-1], sizes.vocab_size, 1, full_precision=True))
        self.blocks = nn.Sequential(blocks)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits are float32 whatever precision the layers ran in."""
        logits_BVhw: Tensor = self.blocks(x_BCHW)
        return logits_BVhw


class Decoder(nn.Module):
    """Weights over codes [B, V, h, w] -> [B, 6, h * stride, w * stride]: mu and ln b of colours."""

    def __init__(self, sizes: DvaeSizes) -> None:
        super().__init__()
        widths = [sizes.hidden << group for group in reversed(range(sizes.group_count))]
        first = Conv(sizes.vocab_size, sizes.decoder_init, 1, full_precision=True)
        blocks: OrderedDict[str, nn.Module] = OrderedDict(input=first)
        upsample = nn.Upsample(scale_factor=2, mode="nearest")
        blocks |= _groups(sizes, sizes.decoder_init, widths, (1, 3, 3, 3), "upsample", upsample)
        blocks["output"] = _output(Conv(widths[-1], 2 * COLOURS, 1))
        self.blocks = nn.Sequential(blocks)

    def forward(self, weights_BVhw: Tensor) -> Tensor:
        """Takes one-hot codes or a relaxation of them."""
        statistics_BSHW: Tensor = self.blocks(weights_BVhw)
        return statistics_BSHW.float()


def _groups(
    sizes: DvaeSizes,
    n_in: int,
    widths: list[int],
    kernels: tuple[int, int, int, int],
    name: str,
    resize: nn.Module,
) -> OrderedDict[str, nn.Module]:
    """`group_1`, `group_2`, ...: blocks, then `resize` under `name` in every group but the last."""
    groups: OrderedDict[str, nn.Module] = OrderedDict()
    for number, width in enumerate(widths, start=1):
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for block in range(1, sizes.blocks_per_group + 1):
            layers[f"block_{block}"] = Block(n_in, width, sizes.post_gain, kernels)
            n_in = width
        if number < len(widths):
            layers[name] = resize
        groups[f"group_{number}"] = nn.Sequential(layers)
    return groups


def _output(conv: Conv) -> nn.Sequential:
    return nn.Sequential(OrderedDict(relu=nn.ReLU(), conv=conv))


class Dvae(nn.Module):
    """Both halves; the names of its weights start with `encoder.` and `decoder.`."""

    def __init__(self, sizes: DvaeSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.encoder = Encoder(sizes)
        self.decoder = Decoder(sizes)

    def on(self, device: torch.device) -> Dvae:
        """The same model, moved to a device, its weights in the layout that is fastest there."""
        self.to(device)
        # The stub of `to` forgets memory_format. Channels last: 1.3 times as fast on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self

    def lower_encoder(self, dtype: torch.dtype) -> None:
        """Let the encoder compute in `dtype` but for its last layer, which stays in float32."""
        for module in self.encoder.modules():
            if isinstance(module, Conv) and not module.full_precision:
                module.to(dtype)

    def scores(self, pixels_BCHW: Tensor) -> Tensor:
        """Logits: pixels in [0, 1] -> float32 [B, h, w, V]."""
        dtype = next(self.encoder.parameters()).dtype  # of its first layer
        mapped_BCHW = map_pixels(pixels_BCHW).to(dtype)
        logits_BVhw: Tensor = self.encoder(mapped_BCHW)
        return logits_BVhw.movedim(1, -1)

    def codes(self, pixels_BCHW: Tensor) -> Tensor:
        """The most likely code at each place: pixels in [0, 1] -> int64 [B, h, w]."""
        return self.scores(pixels_BCHW).argmax(dim=-1)

    def pixels(self, codes_Bhw: Tensor) -> Tensor:
        """The picture that codes stand for: int64 [B, h, w] -> pixels in [0, 1], [B, 3, H, W]."""
        one_hot_BhwV = F.one_hot(codes_Bhw, self.sizes.vocab_size).float()
        statistics_BSHW: Tensor = self.decoder(one_hot_BhwV.permute(0, 3, 1, 2))
        return unmap_pixels(torch.sigmoid(statistics_BSHW[:, :COLOURS]))


def map_pixels(pixels: Tensor) -> Tensor:
    """Pixels in [0, 1] to [0.1, 0.9], where the logit-Laplace density is finite (appendix A.3)."""
    return (1 - 2 * PIXEL_MARGIN) * pixels + PIXEL_MARGIN


def unmap_pixels(mapped: Tensor) -> Tensor:
    """The inverse of `map_pixels`, clamped to [0, 1]."""
    return ((mapped - PIXEL_MARGIN) / (1 - 2 * PIXEL_MARGIN)).clamp(0, 1)
