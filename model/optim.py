"""The optimiser: AdamW with a clipped variance, the learning rate, the average of the weights.

Constants and order of operations are those of Ramesh et al. 2021, section 2.2 and appendix B.2.
The paper does not say what weight decay leaves out; here it acts on the matrices of attention,
feed-forward and heads, and leaves gains, biases and embeddings alone.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from model.config import Optim

FINAL_LR_RATIO = 1 / 32
"""Five halvings (appendix B.2); the cosine schedule ends at the same."""
MAX_HALVINGS = 5
PLATEAU_PATIENCE = 10
"""Log intervals without a better training loss that make a plateau; the paper gives no rule."""
PLATEAU_MARGIN = 1e-3
"""Share by which a loss must beat the best one to count as better."""


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


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> float:
    """Scale all gradients down to a norm of `max_norm`; the norm before, not finite if any is."""
    return float(nn.utils.clip_grad_norm_(parameters, max_norm))


class AdamW:
    """Adam with decoupled weight decay, its running variance clipped by value before use.

    Moments are kept by parameter name, so that a checkpoint is a plain table of tensors.
    """

    def __init__(self, model: nn.Module, optim: Optim) -> None:
        self.optim = optim
        self.parameters = dict(model.named_parameters())
        decayed = [name for name in self.parameters if decays(name)]
        other = [name for name in self.parameters if not decays(name)]
        self.groups = [names for names in (decayed, other) if names]
        self.means = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self.variances = {name: torch.zeros_like(p) for name, p in self.parameters.items()}

    @torch.no_grad()
    def step(self, step: int, rate: float, gradient_norm: float) -> None:
        """Update `step` (0 is the first) at learning rate `rate`, then forget the gradients.

        Args:
            gradient_norm: of all gradients together, after clipping. No variance can pass its
                limit while this squared does not, for it averages squares of gradients: then
                torch's fused kernel, which knows no limit, gives the same in a tenth of the time.
        """
        update = self._update_fused
        if gradient_norm**2 > self.optim.max_variance:
            update = self._update_clipped
        for names in self.groups:
            update(names, step, rate)
        for parameter in self.parameters.values():
            parameter.grad = None

    def _update_fused(self, names: list[str], step: int, rate: float) -> None:
        parameters: list[Tensor] = [self.parameters[name] for name in names]
        adamw(
            parameters,
            [_gradient(self.parameters[name]) for name in names],
            [self.means[name] for name in names],
            [self.variances[name] for name in names],
            [],
            [torch.tensor(float(step), device=p.device) for p in parameters],  # it adds 1
            fused=True,
            amsgrad=False,
            maximize=False,
            lr=rate,
            beta1=self.optim.beta1,
            beta2=self.optim.beta2,
            weight_decay=self._weight_decay(names[0]),
            eps=self.optim.epsilon,
        )

    def _update_clipped(self, names: list[str], step: int, rate: float) -> None:
        beta1, beta2 = self.optim.beta1, self.optim.beta2
        mean_share, variance_share = 1 - beta1 ** (step + 1), 1 - beta2 ** (step + 1)
        for name in names:
            parameter, mean, variance = (
                self.parameters[name],
                self.means[name],
                self.variances[name],
            )
            gradient = _gradient(parameter)
            parameter.mul_(1 - rate * self._weight_decay(name))
            mean.lerp_(gradient, 1 - beta1)
            variance.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            variance.clamp_(max=self.optim.max_variance)
            deviation = (variance / variance_share).sqrt_().add_(self.optim.epsilon)
            parameter.addcdiv_(mean, deviation, value=-rate / mean_share)

    def _weight_decay(self, name: str) -> float:
        return self.optim.weight_decay if decays(name) else 0.0

    def state_dict(self) -> dict[str, Tensor]:
        means = {f"mean.{name}": value for name, value in self.means.items()}
        return means | {f"variance.{name}": value for name, value in self.variances.items()}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        for name in self.parameters:
            self.means[name].copy_(state[f"mean.{name}"])
            self.variances[name].copy_(state[f"variance.{name}"])


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None, "an update needs a gradient for every parameter"
    return parameter.grad


class Average:
    """An exponential moving average of the weights; evaluation and sampling use it.

    The paper updates it every 25 steps with a decay of 0.99. Early updates decay faster, so that
    a short run's average holds nothing of the initial weights.
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
        weights = [parameter.detach() for parameter in self.model.parameters()]
        torch._foreach_lerp_(list(self.values.values()), weights, 1 - decay)

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
        return self.values

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        for name, value in self.values.items():
            value.copy_(state[name])


@torch.no_grad()
def _copy_into(model: nn.Module, values: dict[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        parameter.copy_(values[name])
