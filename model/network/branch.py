"""What a residual branch does at its two ends and with its matrices.

A block has two branches, attention and feed-forward, each added to the identity path. The plain
one changes nothing. The other is that of Ramesh et al. 2021 (section 2.4, appendix D, figure 4):

    forward    identity path  x --------------------------(+)-- float32
                                \\ enter, norm   linear    / leave
                                 float32         float16
    backward   gradient       g ---(+)------------------------ float32
                                     \\ divide, filter   / multiply, round
                                      float32     float16

Inside, gradients are `scale` times as large as they are, which keeps them in float16's range; each
branch has a scale of its own, because no single one fits all depths. What comes out of the branch
and is not finite becomes zero, so that one branch's overflow does not lower the scales of all
before it. Gains and biases are float32 values with float32 gradients.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Branch:
    """A branch that computes in whatever arithmetic it is called in."""

    def enter(self, x_BLD: Tensor) -> Tensor:
        """From the identity path into the branch."""
        return x_BLD

    def leave(self, x_BLD: Tensor) -> Tensor:
        """From the branch back to the identity path."""
        return x_BLD

    def linear(self, layer: nn.Linear, x_BLD: Tensor) -> Tensor:
        """One of the branch's matrices."""
        result: Tensor = layer(x_BLD)
        return result


class ScaledBranch(Branch):
    """A branch in float16 whose gradients are `scale` (one number, float32) times their size."""

    def __init__(self, scale: Tensor) -> None:
        self.scale = scale

    def enter(self, x_BLD: Tensor) -> Tensor:
        entered: Tensor = _Enter.apply(x_BLD, self.scale)  # type: ignore[no-untyped-call]
        return entered

    def leave(self, x_BLD: Tensor) -> Tensor:
        left: Tensor = _Leave.apply(x_BLD, self.scale)  # type: ignore[no-untyped-call]
        return left

    def linear(self, layer: nn.Linear, x_BLD: Tensor) -> Tensor:
        product = F.linear(x_BLD.half(), layer.weight.half()).float()
        return (product if layer.bias is None else product + layer.bias).half()


class _Enter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BLD: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(scale)
        return x_BLD.view_as(x_BLD)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (scale,) = ctx.saved_tensors
        gradient = gradient.float() / scale
        return torch.where(gradient.isfinite(), gradient, 0.0), None


class _Leave(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BLD: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(scale)
        return x_BLD.float()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (scale,) = ctx.saved_tensors
        return (gradient * scale).half(), None
