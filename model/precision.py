"""In what numbers the network computes, and how small gradients survive it.

    fp32   everything in fp32
    bf16   blocks compute in bf16, weights and their gradients stay fp32

bf16 has fp32's exponents, so that no gradient needs a scale.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
from torch import Tensor, nn


class Precision(Protocol):
    """What the training step asks of an arithmetic."""

    def compute(self) -> AbstractContextManager[object]:
        """The forward pass runs inside."""
        ...

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss`."""
        ...

    def unscale(self) -> bool:
        """Bring the gradients of all parameters to true units; False: leave this update out."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """What a run that goes on needs; the same on every rank."""
        ...

    def load_state_dict(self, state: dict[str, Tensor]) -> None: ...


class PlainPrecision:
    """Gradients that need no scale."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype

    def compute(self) -> AbstractContextManager[object]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def unscale(self) -> bool:
        return True

    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        assert not state, f"gradients without a scale have no state, not {sorted(state)}"


def make_precision(name: str, model: nn.Module) -> Precision:
    """The arithmetic of `--precision name`, on the device that `model` is on.

    Raises:
        ValueError: there is none of this name.
    """
    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16}
    if name not in dtypes:
        raise ValueError(f"precision is {name!r}; it must be one of {', '.join(dtypes)}")
    return PlainPrecision(next(model.parameters()).device, dtypes[name])
