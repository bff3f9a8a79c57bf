"""A network made ready for a run: blocks recomputed, compiled, laid over the ranks, in this order.

Blocks are changed in place. A compiled wrapper around a block would hide it from FSDP's hooks, and
every name in the state dict would change.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from model.config import Execution
from model.training.distribution import World
from model.transformer import Transformer

if TYPE_CHECKING:
    from model.training.power_sgd import PowerSgd


@dataclass(frozen=True, slots=True)
class Spread:
    """A network as a run's ranks share it."""

    network: nn.Module
    """What to call in training."""
    accumulating: Callable[[bool], AbstractContextManager[None]] = lambda is_last: nullcontext()
    """Called with whether this is a batch's last micro-batch, which then runs inside: before the
    last one, gradients stay on their rank."""
    powersgd: "PowerSgd | None" = None


def spread(model: Transformer, execution: Execution, world: World) -> Spread:
    """Make `model` ready, in place."""
    for block in model.blocks:
        if execution.checkpoint_blocks:
            _recompute(block)
        if execution.compile:
            block.compile()
    if world.size == 1:
        return Spread(model)
    from model.training import sharding  # its libraries take as long to import as torch itself

    if execution.shard == "ddp":
        return sharding.wrap_replica(model, execution)
    return sharding.shard(model, execution, world)


def _recompute(block: nn.Module) -> None:
    """Keep the block's input alone; its random state is put back for the second pass."""
    plain = block.forward

    def forward(*inputs: Any) -> Any:  # what a block is called with is the block's affair
        return checkpoint(plain, *inputs, use_reentrant=False)

    block.forward = forward
