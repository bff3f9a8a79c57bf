"""In what numbers the network computes, and how small gradients survive it.

    fp32            everything in fp32
    bf16            matrices and attention in bf16, the identity path and all weights in fp32
    fp16            the same in fp16, with one scale for all gradients, like torch's GradScaler:
                    there to be compared with
    fp16_resblock   the paper's: matrices and attention of a residual branch in fp16, its gradients
                    under a scale of its own (`model.network.branch`, `gradient_scale`)

bf16 has fp32's exponents, so that no gradient needs a scale.

Where `fp16_resblock` is not what Ramesh et al. 2021 describe (section 2.4, appendix D): the weights
that the optimiser updates are fp32 and are rounded to fp16 where they are used, while the paper
stores them, and the moments, in 16 bits (1-6-9 and 0-6-10 formats, which nothing computes in here);
gradients are summed over ranks in fp32, so that no constant has to be divided by before. The number
M is that of the micro-batches of one rank: the loss is averaged over ranks after the backward pass.
As there, one value that is not finite leaves the whole update out.
"""

import math
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from model.config import PRECISIONS, check_choice
from model.network.branch import ScaledBranch
from model.training.gradient_scale import BranchScales, GlobalScale
from model.transformer import Block, Transformer


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
        torch.autograd.backward(loss)

    def unscale(self) -> bool:
        return True

    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        assert not state, f"gradients without a scale have no state, not {sorted(state)}"


class ScaledPrecision:
    """float16 throughout, with one scale for all gradients."""

    def __init__(self, model: nn.Module) -> None:
        self.parameters = list(model.parameters())
        self.scale = GlobalScale(self.parameters[0].device)

    def compute(self) -> AbstractContextManager[object]:
        return torch.autocast(self.parameters[0].device.type, torch.float16)

    def backward(self, loss: Tensor) -> None:
        torch.autograd.backward(loss * self.scale.value)

    def unscale(self) -> bool:
        gradients = local_gradients(self.parameters)
        torch._foreach_div_(gradients, self.scale.value)
        overflowed = agree(overflows(gradients)[None])[0]
        self.scale.observe(overflowed)
        return not overflowed

    def state_dict(self) -> dict[str, Tensor]:
        return self.scale.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.scale.load_state_dict(state)


class BranchPrecision:
    """float16 inside the residual branches, each with a scale of its own; all else is float32."""

    def __init__(self, model: Transformer, parts: int) -> None:
        """Changes the branches of `model`."""
        self.groups = branch_parameters(model)
        inside = {id(parameter) for group in self.groups for parameter in group}
        self.others = [p for p in model.parameters() if id(p) not in inside]
        self.scales = BranchScales(len(self.groups), parts, self.others[0].device)
        for block, scales in zip(model.blocks, self.scales.values_R.view(-1, 2), strict=True):
            assert isinstance(block, Block)
            block.attention_branch = ScaledBranch(scales[0])
            block.feed_forward_branch = ScaledBranch(scales[1])

    def compute(self) -> AbstractContextManager[object]:
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        torch.autograd.backward(loss)

    def unscale(self) -> bool:
        flags = []
        for scale, group in zip(self.scales.values_R, self.groups, strict=True):
            gradients = local_gradients(group)
            torch._foreach_div_(gradients, scale)
            flags.append(overflows(gradients))
        flags.append(overflows(local_gradients(self.others)))
        overflowed = agree(torch.stack(flags))
        self.scales.observe(overflowed[:-1])
        return not overflowed.any()

    def state_dict(self) -> dict[str, Tensor]:
        return self.scales.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.scales.load_state_dict(state)


def branch_parameters(model: Transformer) -> list[list[nn.Parameter]]:
    """The parameters of each branch: attention and feed-forward of the first block, and so on."""
    return [
        [p for name, p in block.named_parameters() if name.startswith("feed_forward") is later]
        for block in model.blocks
        for later in (False, True)
    ]


def local_gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """Gradients, or this rank's slices of them."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    return [g.to_local() if isinstance(g, DTensor) else g for g in gradients]


def overflows(gradients: Sequence[Tensor]) -> Tensor:
    """Whether any value is not finite: a bool on the gradients' device, nothing is waited for."""
    return ~torch.nn.utils.get_total_norm(gradients, norm_type=math.inf).isfinite()


def agree(flags: Tensor) -> Tensor:
    """True where any rank's flag is."""
    if not dist.is_initialized():
        return flags
    votes = flags.int()
    dist.all_reduce(votes, dist.ReduceOp.MAX)
    return votes.bool()


def make_precision(name: str, model: Transformer, parts: int = 1) -> Precision:
    """The arithmetic of `--precision name`, on the device that `model` is on.

    Args:
        parts: micro-batches whose gradients one rank sums for an update.

    Raises:
        ValueError: there is none of this name.
    """
    check_choice("precision", name, PRECISIONS)
    if name == "fp16":
        return ScaledPrecision(model)
    if name == "fp16_resblock":
        return BranchPrecision(model, parts)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[name]
    return PlainPrecision(next(model.parameters()).device, dtype)
