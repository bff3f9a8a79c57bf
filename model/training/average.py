"""The moving average of the weights, which evaluation and sampling use."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from model.config import Optim
from model.training.pieces import local


class Average:
    """An exponential moving average of the weights; each rank averages what it holds of them.

    The paper updates it every 25 steps with a decay of 0.99 (Ramesh et al. 2021, appendix B.2).
    Early updates decay faster, so that a short run's average holds nothing of the initial weights.
    """

    def __init__(self, model: nn.Module, optim: Optim) -> None:
        self.optim = optim
        self.model = model
        self.values = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, steps_done: int) -> None:
        """Take in the weights after `steps_done` updates, once every `ema_every`."""
        if steps_done % self.optim.ema_every:
            return
        updates = steps_done // self.optim.ema_every
        decay = min(self.optim.ema_decay, updates / (updates + 10))
        values = [local(value) for value in self.values.values()]
        weights = [local(parameter) for parameter in self.model.parameters()]
        torch._foreach_lerp_(values, weights, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model holds the average inside, its own weights again after."""
        own = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        _copy_into(self.model, self.values)
        try:
            yield
        finally:
            _copy_into(self.model, own)

    def state_dict(self) -> dict[str, Tensor]:
        """The values themselves: who writes into them sets them."""
        return self.values


@torch.no_grad()
def _copy_into(model: nn.Module, values: dict[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        local(parameter).copy_(local(values[name]))
