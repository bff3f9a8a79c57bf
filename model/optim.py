"""The optimiser: AdamW with a clipped variance, and the learning rate.

Constants and order of operations are those of Ramesh et al. 2021, section 2.2 and appendix B.2.
The paper does not say what weight decay leaves out; here it acts on the matrices of attention,
feed-forward and heads, and leaves gains, biases and embeddings alone.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from model.config import Optim
from model.training.pieces import local, whole

FINAL_LR_RATIO = 1 / 32
"""Five halvings (appendix B.2); the cosine schedule ends at the same."""
MAX_HALVINGS = 5
PLATEAU_PATIENCE = 10
"""Log intervals without a better training loss that make a plateau; the paper gives no rule."""
PLATEAU_MARGIN = 1e-3
"""Share by which a loss must beat the best one to count as better."""
MOMENT_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def decays(name: str) -> bool:
    """Whether weight decay acts on the parameter of this name."""
    return name.endswith("weight") and not any(
        part in name for part in ("norm", "embedding", "position", "image_row", "image_column")
    )


def learning_rate(optim: Optim, step: int, total_steps: float, halvings: int = 0) -> float:
    """The rate of update `step` (0 is the first), a pure function of its arguments.

    1. A linear rise over `warmup_steps`.
    2. plateau: halved `halvings` times, a count that the run keeps (`Plateau`).
    3. cosine: down to 1/32 of the peak at `total_steps`.
    """
    if step < optim.warmup_steps:
        return optim.learning_rate * (step + 1) / optim.warmup_steps
    if optim.schedule == "plateau":
        return optim.learning_rate * 0.5**halvings
    progress = (step - optim.warmup_steps) / max(1, total_steps - optim.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return optim.learning_rate * (FINAL_LR_RATIO + (1 - FINAL_LR_RATIO) * cosine)


@dataclass(slots=True)
class Plateau:
    """Counts the halvings of the paper's schedule; its fields are part of a checkpoint."""

    halvings: int = 0
    best_loss: float = math.inf
    waited: int = 0
    """Intervals since the best loss."""

    def observe(self, loss: float) -> None:
        """Take in the mean training loss of one interval."""
        if loss < self.best_loss * (1 - PLATEAU_MARGIN):
            self.best_loss, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited >= PLATEAU_PATIENCE and self.halvings < MAX_HALVINGS:
            self.halvings, self.waited, self.best_loss = self.halvings + 1, 0, loss


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> Tensor:
    """Scale all gradients down to a norm of `max_norm`; the norm before, not finite if any is.

    The norm is that of the whole network, however it is sharded; nothing waits for the device.
    """
    return whole(nn.utils.clip_grad_norm_(parameters, max_norm))


class AdamW:
    """Adam with decoupled weight decay, its running variance clipped by value before use.

    Moments are kept by parameter name, so that a checkpoint is a plain table of tensors. Each
    rank updates what it holds of a parameter: no entry needs another.
    """

    def __init__(self, model: nn.Module, optim: Optim) -> None:
        self.optim = optim
        self.parameters = dict(model.named_parameters())
        decayed = [name for name in self.parameters if decays(name)]
        other = [name for name in self.parameters if not decays(name)]
        self.groups = [names for names in (decayed, other) if names]
        dtype = MOMENT_DTYPES[optim.adam_dtype]
        self.means, self.variances = (
            {name: torch.zeros_like(p, dtype=dtype) for name, p in self.parameters.items()}
            for _ in range(2)
        )

    @torch.no_grad()
    def step(self, updates: int, rate: float, gradient_norm: float) -> None:
        """One update at learning rate `rate`, then forget the gradients.

        Args:
            updates: how many there have been before.
            gradient_norm: of all gradients together, after clipping. No variance can pass its
                limit while this squared does not, for it averages squares of gradients: then
                torch's fused kernel, which knows no limit, gives the same in a tenth of the time.
        """
        update = self._update_fused
        if gradient_norm**2 > self.optim.max_variance or self.optim.adam_dtype != "fp32":
            update = self._update_clipped
        for names in self.groups:
            update(names, updates, rate)
        self.forget_gradients()

    def forget_gradients(self) -> None:
        for parameter in self.parameters.values():
            parameter.grad = None

    def _update_fused(self, names: list[str], updates: int, rate: float) -> None:
        parameters = [local(self.parameters[name]) for name in names]
        adamw(
            parameters,
            [_gradient(self.parameters[name]) for name in names],
            [local(self.means[name]) for name in names],
            [local(self.variances[name]) for name in names],
            [],
            [torch.tensor(float(updates), device=p.device) for p in parameters],  # it adds 1
            fused=True,
            amsgrad=False,
            maximize=False,
            lr=rate,
            beta1=self.optim.beta1,
            beta2=self.optim.beta2,
            weight_decay=self._weight_decay(names[0]),
            eps=self.optim.epsilon,
        )

    def _update_clipped(self, names: list[str], updates: int, rate: float) -> None:
        """Moments are computed in fp32 and rounded when they are put back."""
        beta1, beta2 = self.optim.beta1, self.optim.beta2
        mean_share, variance_share = 1 - beta1 ** (updates + 1), 1 - beta2 ** (updates + 1)
        for name in names:
            parameter, gradient = local(self.parameters[name]), _gradient(self.parameters[name])
            mean, variance = (local(of[name]).float() for of in (self.means, self.variances))
            parameter.mul_(1 - rate * self._weight_decay(name))
            mean.lerp_(gradient, 1 - beta1)
            variance.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            variance.clamp_(max=self.optim.max_variance)
            deviation = (variance / variance_share).sqrt_().add_(self.optim.epsilon)
            parameter.addcdiv_(mean, deviation, value=-rate / mean_share)
            local(self.means[name]).copy_(mean)
            local(self.variances[name]).copy_(variance)

    def _weight_decay(self, name: str) -> float:
        return self.optim.weight_decay if decays(name) else 0.0

    def state_dict(self) -> dict[str, Tensor]:
        """The moments themselves: who writes into them sets them."""
        means = {f"mean.{name}": value for name, value in self.means.items()}
        return means | {f"variance.{name}": value for name, value in self.variances.items()}


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None, "an update needs a gradient for every parameter"
    return local(parameter.grad)
