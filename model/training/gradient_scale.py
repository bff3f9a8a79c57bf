"""Scales that keep float16 gradients in range, and the rules by which they move.

`BranchScales` are the paper's (Ramesh et al. 2021, appendix D): one for each residual branch, two a
block, 128 for its 64 blocks. `GlobalScale` is the usual one for everything, with the constants of
torch's GradScaler.
"""

import torch
from torch import Tensor

FIRST_SCALE, MIN_SCALE, MAX_SCALE = 2.0**13, 2.0**7, 2.0**24
"""Appendix D, without the number M of parts that a batch's gradient is the sum of."""
GROWTH = 2.0 ** (1 / 1000)
"""After an update in which the branch's gradients were finite."""
SHRINKAGE = 2.0**-0.5
UPDATES_BETWEEN_SHRINKAGES = 125
"""The same scale is not divided twice within as many updates."""

FIRST_GLOBAL_SCALE, GLOBAL_GROWTH, GLOBAL_GROWTH_UPDATES = 2.0**16, 2.0, 2000


class BranchScales:
    """One scale per branch; a change is made in place, so that views of them follow."""

    def __init__(self, num_branches: int, parts: int, device: torch.device) -> None:
        """
        Args:
            parts: the paper's M: gradients are sums over so many parts of a batch, each divided by
                the whole batch's size. Scales carry it as a factor.
        """
        self.parts = parts
        self.values_R = torch.full((num_branches,), FIRST_SCALE * parts, device=device)
        self.waited_R = torch.full(
            (num_branches,), UPDATES_BETWEEN_SHRINKAGES, dtype=torch.int32, device=device
        )
        """Updates since the last division."""

    def observe(self, overflowed_R: Tensor) -> None:
        """Take in which branches had a parameter gradient that is not finite."""
        self.waited_R += 1
        shrinks_R = overflowed_R & (self.waited_R >= UPDATES_BETWEEN_SHRINKAGES)
        self.waited_R.masked_fill_(shrinks_R, 0)
        factor_R = torch.ones_like(self.values_R)
        factor_R.masked_fill_(~overflowed_R, GROWTH).masked_fill_(shrinks_R, SHRINKAGE)
        self.values_R *= factor_R
        self.values_R.clamp_(MIN_SCALE * self.parts, MAX_SCALE * self.parts)

    def state_dict(self) -> dict[str, Tensor]:
        """Without the factor, which another number of machines may change."""
        return {"scale": self.values_R / self.parts, "waited": self.waited_R.clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.values_R.copy_(state["scale"] * self.parts)
        self.waited_R.copy_(state["waited"])


class GlobalScale:
    """One scale for all gradients, halved by any overflow."""

    def __init__(self, device: torch.device) -> None:
        self.value = torch.full((), FIRST_GLOBAL_SCALE, device=device)
        self.waited = torch.zeros((), dtype=torch.int32, device=device)
        """Finite updates since the last change."""

    def observe(self, overflowed: Tensor) -> None:
        """Take in whether any gradient was not finite."""
        self.waited += 1
        grows = ~overflowed & (self.waited >= GLOBAL_GROWTH_UPDATES)
        one = torch.ones_like(self.value)
        self.value *= torch.where(overflowed, 0.5, torch.where(grows, GLOBAL_GROWTH, one))
        self.waited.masked_fill_(overflowed | grows, 0)

    def state_dict(self) -> dict[str, Tensor]:
        return {"scale": self.value.clone(), "waited": self.waited.clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.value.copy_(state["scale"])
        self.waited.copy_(state["waited"])
