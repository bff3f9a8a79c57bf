"""How a network is laid over several ranks.

ddp      each rank holds the whole network; gradients are averaged while they come in
fsdp     each rank holds a slice of every parameter; a block is gathered when it is its turn
hybrid   slices over the ranks of one machine, gradients averaged over machines: the paper's
         arrangement (Ramesh et al. 2021, section 2.5)
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel

from model.config import Execution
from model.training.distribution import World
from model.training.power_sgd import PowerSgd
from model.training.spreading import Spread
from model.transformer import TokenLosses, Transformer

GRADIENT_BUCKET_MB = 25
"""Of DDP: gradients are averaged in buckets of this size (torch's default)."""


def wrap_replica(model: Transformer, execution: Execution) -> Spread:
    """A whole network on each rank, its gradients compressed where the run asks for that."""
    device = next(model.parameters()).device
    network = DistributedDataParallel(
        model,
        device_ids=[device] if device.type == "cuda" else None,
        bucket_cap_mb=GRADIENT_BUCKET_MB,
        gradient_as_bucket_view=True,
    )
    powersgd = PowerSgd(network, execution) if execution.powersgd_rank else None
    return Spread(
        network, lambda is_last: nullcontext() if is_last else network.no_sync(), powersgd
    )


def shard(model: Transformer, execution: Execution, world: World) -> Spread:
    """One network over all ranks, or over those of each machine.

    The root is freed after its forward pass like the blocks: what it gathered would outlive a
    change of the weights (by the average, in an evaluation).
    """
    mesh = make_mesh(execution, world, next(model.parameters()).device.type)
    half = torch.bfloat16 if execution.precision == "bf16" else None
    policy = MixedPrecisionPolicy(
        param_dtype=half,
        reduce_dtype=torch.float32,
        cast_forward_inputs=False,  # the identity path stays float32, as it does without shards
    )
    for block in model.blocks:
        fully_shard(block, mesh=mesh, mp_policy=policy, reshard_after_forward=True)
    model.register_forward_hook(_own_losses)
    rest = MixedPrecisionPolicy(reduce_dtype=torch.float32)
    root = fully_shard(model, mesh=mesh, mp_policy=rest, reshard_after_forward=True)

    def accumulating(is_last: bool) -> AbstractContextManager[None]:
        root.set_requires_gradient_sync(is_last)
        return nullcontext()

    return Spread(model, accumulating)


def _own_losses(model: nn.Module, inputs: object, losses: TokenLosses) -> TokenLosses:
    """FSDP hangs its gathering for the backward pass on what the root returns, and warns of views:
    one that is written to would lose it."""
    return TokenLosses(losses.text_N, losses.image_BI.clone())


def make_mesh(execution: Execution, world: World, device_type: str) -> DeviceMesh:
    """All ranks in a row (fsdp), or machines x ranks of a machine (hybrid)."""
    if execution.shard == "fsdp":
        return init_device_mesh(device_type, (world.size,), mesh_dim_names=("shard",))
    shape = (world.size // world.local_size, world.local_size)
    return init_device_mesh(device_type, shape, mesh_dim_names=("replicate", "shard"))
