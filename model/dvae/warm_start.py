"""A start for short runs: learn to copy pictures first, then to do it through codes.

The paper begins with random codes and has 3,000,000 updates to sort them out. In some thousand
updates that ends in a handful of codes. So, where `warm_start_steps` is not 0 (a departure from the
paper):

1. the two halves are trained as a plain autoencoder, joined by a 1x1 convolution, the bridge, that
   takes the place of the last layer of the encoder and of the first layer of the decoder;
2. k-means over the bridge's outputs gives the codebook, which is the decoder's first layer; the
   encoder's last layer becomes the squared distance to each centre, so that the most likely code is
   the nearest;
3. training goes on as in the paper, its schedules counted from here.

Shape letters: P positions, K length of a codebook vector, V vocabulary, N encoder width.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from tokens.dvae import COLOURS, Conv, Dvae, map_pixels

NOISE_SHARE = 0.1
"""Noise on the bridge, as a share of its deviation: neighbours in it must look alike."""

SHARPNESS = 20.0
"""Logit gap between the nearest and the second nearest centre, at the median position."""

MAX_POINTS_PER_CODE = 40
KMEANS_ROUNDS = 12


class Bridge(nn.Module):
    """Copies pictures without codes: the encoder's body, a 1x1 convolution, the decoder's body."""

    def __init__(self, model: Dvae) -> None:
        super().__init__()
        sizes = model.sizes
        width = sizes.hidden << (sizes.group_count - 1)
        self.join = Conv(width, sizes.decoder_init, 1)

    def vectors(self, model: Dvae, mapped_BCHW: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, K, h, w], what a codebook vector will stand for."""
        *body, output = model.encoder.blocks.children()
        x_BNhw = mapped_BCHW
        for layer in body:
            x_BNhw = layer(x_BNhw)
        (relu, _) = output.children()
        vectors_BKhw: Tensor = self.join(relu(x_BNhw))
        return vectors_BKhw

    def copy(self, model: Dvae, mapped_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """[B, 3, H, W] -> statistics [B, 6, H, W], through noisy vectors."""
        x_BNhw = self.vectors(model, mapped_BCHW)
        noise = torch.empty_like(x_BNhw).normal_(generator=generator)
        x_BNhw = x_BNhw + NOISE_SHARE * x_BNhw.detach().std() * noise
        _, *body = model.decoder.blocks.children()
        for layer in body:
            x_BNhw = layer(x_BNhw)
        return x_BNhw.float()


@torch.no_grad()
def place_codes(model: Dvae, bridge: Bridge, vectors_PK: Tensor, seed: int) -> None:
    """Give the model codes at the centres of `vectors_PK`, and logits that pick the nearest."""
    white_K = _white_vector(model, bridge)
    centres_VK = _centres(vectors_PK.cpu(), white_K.cpu(), model.sizes.vocab_size, seed)
    nearest_P2 = torch.cdist(vectors_PK[:2048].cpu(), centres_VK).square().topk(2, largest=False)
    gap_P = nearest_P2.values[:, 1] - nearest_P2.values[:, 0]
    sharpness = SHARPNESS / max(float(gap_P.median()), 1e-6)
    centres_VK = centres_VK.to(white_K.device)
    weight_KN, bias_K = bridge.join.w[:, :, 0, 0], bridge.join.b
    last = model.encoder.get_submodule("blocks.output.conv")
    first = model.decoder.get_submodule("blocks.input")
    assert isinstance(last, Conv) and isinstance(first, Conv)
    last.w.copy_((2 * sharpness * centres_VK @ weight_KN)[:, :, None, None])
    last.b.copy_(sharpness * (2 * centres_VK @ bias_K - centres_VK.square().sum(dim=1)))
    first.w.copy_(centres_VK.t()[:, :, None, None])
    first.b.zero_()


def _white_vector(model: Dvae, bridge: Bridge) -> Tensor:
    """The vector of plain white, which half of a clip-art picture is made of."""
    stride = model.sizes.stride
    device = bridge.join.w.device
    white_BCHW = map_pixels(torch.ones(1, COLOURS, 8 * stride, 8 * stride, device=device))
    return bridge.vectors(model, white_BCHW)[0, :, 4, 4]


def _centres(vectors_PK: Tensor, white_K: Tensor, vocab_size: int, seed: int) -> Tensor:
    """One centre for white, the others by k-means over the positions that are not white."""
    distance_P = (vectors_PK - white_K).square().sum(dim=1)
    others_PK = vectors_PK[distance_P > 1e-3 * vectors_PK.var(dim=0).sum()]
    others_PK = others_PK[: MAX_POINTS_PER_CODE * vocab_size]
    if len(others_PK) < vocab_size:
        raise ValueError(
            f"{len(others_PK)} different picture patches are too few to place {vocab_size} codes: "
            "take a smaller vocab_size, a larger batch_size or more pictures"
        )
    cv2.setRNGSeed(seed)
    rule = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, KMEANS_ROUNDS, 1e-4)
    points = np.ascontiguousarray(others_PK.numpy(), np.float32)
    _, _, centres = cv2.kmeans(points, vocab_size - 1, None, rule, 1, cv2.KMEANS_PP_CENTERS)
    return torch.cat([white_K[None], torch.from_numpy(centres)])
