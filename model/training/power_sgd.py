"""Gradients that travel as products of two thin matrices: PowerSGD, through torch's hook.

Of what Ramesh et al. 2021 do (section 2.5 and appendix E), the hook shares error feedback, a P and
a Q averaged one after the other, and Householder orthogonalisation. It differs in that

- Q starts from the last update's Q (Vogels et al. 2019); the paper's is random and fixed.
  Drawing it anew each time, which the paper warns of, is what the hook would do without that;
- everything is fp32, not 1-6-9 (sign, exponent, significand bits);
- every matrix that shrinks by half is compressed, embeddings and heads too;
- it compresses whole matrices for DDP; the paper each GPU's shard, between machines only.

Buckets of gradients take their final order after the first backward pass, and errors belong to a
place in a bucket: `rehearse` makes that pass on nothing, before anything is compressed or restored.
"""

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import GradBucket
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.distributed.algorithms.ddp_comm_hooks.powerSGD_hook import PowerSGDState, powerSGD_hook
from torch.nn.parallel import DistributedDataParallel

from model.config import Execution


class PowerSgd:
    """The hook on one network, and its state."""

    def __init__(self, network: DistributedDataParallel, execution: Execution) -> None:
        self.rehearsing = False
        self.state = PowerSGDState(
            process_group=None,
            matrix_approximation_rank=execution.powersgd_rank,
            start_powerSGD_iter=execution.powersgd_start_step,
        )
        network.register_comm_hook(self, _average_gradients)

    def tables(self) -> dict[str, Tensor]:
        """Its state. Every rank's errors become the mean of all: their sum, which is what will
        still reach the weights, stays; and a run that goes on from here, on however many ranks,
        has the errors of the one that did not stop (after appendix E.2, optimisation 4)."""
        state, found = self.state, {"iteration": torch.tensor(self.state.iter)}
        for bucket, error in state.error_dict.items():
            dist.all_reduce(error)
            error /= dist.get_world_size()
            found[f"error.{bucket}"] = error
        found |= {f"p.{bucket}": value for bucket, value in state.p_memory_dict.items()}
        return found | {f"q.{bucket}": value for bucket, value in state.q_memory_dict.items()}

    def load(self, tables: dict[str, Tensor], device: torch.device) -> None:
        """Go on from what `tables` gave."""
        self.state.iter = int(tables.pop("iteration"))
        into = {
            "error": self.state.error_dict,
            "p": self.state.p_memory_dict,
            "q": self.state.q_memory_dict,
        }
        for name, value in tables.items():
            part, _, bucket = name.partition(".")
            into[part][int(bucket)] = value.to(device)


def _average_gradients(hook: PowerSgd, bucket: GradBucket) -> torch.futures.Future[Tensor]:
    if hook.rehearsing:
        world = dist.group.WORLD
        assert world is not None, "a hook is called by a network that ranks share"
        return allreduce_hook(world, bucket)
    return powerSGD_hook(hook.state, bucket)
