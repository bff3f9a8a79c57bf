"""A fixed picture and fixed small weights, made of whole numbers: nothing draws them."""

import numpy as np
import torch


def golden_picture(side_px=256):
    """Rings, a gradient and a chessboard, one in each colour: uint8 [side, side, 3]."""
    y, x = np.indices((side_px, side_px))
    rings = ((x - 96) ** 2 + (y - 128) ** 2) // 64 % 256
    chessboard = 255 * ((x // 32 + y // 32) % 2)
    return np.stack([rings, (x * 3 + y) // 2 % 256, chessboard], -1).astype(np.uint8)


def fill_with_waves(model):
    """Weights of the published spread, by a formula instead of a generator."""
    with torch.no_grad():
        for number, (name, weight) in enumerate(model.state_dict().items()):
            places = torch.arange(weight.numel(), dtype=torch.float64)
            waves = torch.sin(places * 12.9898 + number * 78.233 + 1) * 43758.5453
            spread = weight[0].numel() ** -0.5 if weight.dim() > 1 else 0.1
            even = (waves - waves.floor() - 0.5) * 12**0.5 * spread
            is_gain = "norm" in name and name.endswith("weight")
            weight.copy_(even.view(weight.shape) + (1 if is_gain else 0))
    return model.eval()
