"""The ranks of a run and what they tell each other; one process alone is one rank.

torchrun starts the ranks and says each in its environment which one it is. All that the ranks
decide together (stop, leave an update out, a checkpoint is whole) goes through `total`: one small
sum a step, after which every rank holds the same numbers and so takes the same branch.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

TIMEOUT = datetime.timedelta(minutes=30)
"""For any one exchange: the first step of a compiled model on a slow machine takes minutes."""


@dataclass(frozen=True, slots=True)
class World:
    """Which of how many processes this one is, in all and on its machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "World":
        """As torchrun describes it; without torchrun, one process.

        Raises:
            ValueError: a variable is no number.
        """
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        if "RANK" not in environment:
            return cls()
        try:
            return cls(*(int(environment[name]) for name in names))
        except (KeyError, ValueError) as err:
            raise ValueError(f"not an environment that torchrun makes: {err}") from None


class Distribution:
    """This rank among the others. Every method must be called by all ranks in the same order."""

    def __init__(self, world: World, device: torch.device) -> None:
        """Meet the other ranks, where there are any."""
        self.world, self.device = world, device
        if world.size > 1:
            backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
            dist.init_process_group(
                backend,
                rank=world.rank,
                world_size=world.size,
                timeout=TIMEOUT,
                device_id=device if device.type == "cuda" else None,
            )

    @property
    def is_first(self) -> bool:
        """The rank that writes what there is one of: lines, metrics, markers."""
        return self.world.rank == 0

    def total(self, values: Sequence[Tensor | float]) -> list[float]:
        """Each value summed over the ranks; the device is waited for, once."""
        numbers = [torch.as_tensor(value, dtype=torch.float64) for value in values]
        stacked = torch.stack([number.detach().to(self.device) for number in numbers])
        if self.world.size > 1:
            dist.all_reduce(stacked)
        found: list[float] = stacked.tolist()
        return found

    def from_first(self, value: float) -> float:
        """The first rank's value, on all."""
        return self.total([value if self.is_first else 0.0])[0]

    def meet(self) -> None:
        """Go on when all ranks are here."""
        self.total([0.0])

    def close(self) -> None:
        if self.world.size > 1:
            dist.destroy_process_group()


def choose_device(world: World) -> torch.device:
    """The rank's own GPU, or the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.cuda.set_device(world.local_rank)
    return torch.device("cuda", world.local_rank)
