"""Tensors of which a rank holds a slice: which slice it is, and how to fill it.

FSDP cuts along the first dimension, in slices of equal size but the last ones; replicas of a
slice share the work of writing it down.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


@dataclass(frozen=True, slots=True)
class Piece:
    """A slice along the first dimension, and the shape of the whole."""

    value: Tensor
    start: int
    """Of its first row in the whole."""
    shape: tuple[int, ...]

    @property
    def is_whole(self) -> bool:
        return tuple(self.value.shape) == self.shape


def is_sliced(tensor: Tensor) -> "TypeGuard[DTensor]":
    """Whether FSDP has cut it. Its class is not asked for: importing it takes as long as torch."""
    return hasattr(tensor, "placements")


@torch.no_grad()
def local(tensor: Tensor) -> Tensor:
    """What this rank holds of `tensor`, sharing its memory."""
    if is_sliced(tensor):
        part: Tensor = tensor.to_local()
        return part
    return tensor.detach()


def whole(tensor: Tensor) -> Tensor:
    """All of `tensor`; of a sliced one, every rank must ask at the same time."""
    if is_sliced(tensor):
        gathered: Tensor = tensor.full_tensor()
        return gathered
    return tensor.detach()


def piece_of(tensor: Tensor) -> Piece:
    """This rank's part of `tensor`, as it stands."""
    return Piece(local(tensor), _start(tensor), tuple(tensor.shape))


def _start(tensor: Tensor) -> int:
    start = 0
    if is_sliced(tensor):
        for dimension, placement in enumerate(tensor.placements):
            assert placement.is_replicate() or placement.is_shard(0), placement
            if placement.is_shard():
                ranks = tensor.device_mesh.size(dimension)
                rows = -(-tensor.shape[0] // ranks)
                start = min(tensor.device_mesh.get_local_rank(dimension) * rows, tensor.shape[0])
    return start


def replica_of(tensor: Tensor, rank: int, world_size: int) -> tuple[int, int]:
    """Which of how many equal copies of its piece this rank holds."""
    if not is_sliced(tensor):
        return rank, world_size
    for dimension, placement in enumerate(tensor.placements):
        if placement.is_replicate():
            mesh = tensor.device_mesh
            return mesh.get_local_rank(dimension), mesh.size(dimension)
    return 0, 1


def fill(tensor: Tensor, read: Callable[[int, int], Tensor]) -> None:
    """Copy into this rank's part of `tensor` what `read` gives of the whole's rows [start, stop).

    A tensor without dimensions is read as the rows [0, 1).

    Raises:
        ValueError: they have another shape.
    """
    part, start = local(tensor), _start(tensor)
    rows = part.shape[0] if part.dim() else 1
    found = read(start, start + rows)
    if found.shape != part.shape:
        raise ValueError(f"shape {tuple(found.shape)} where {tuple(part.shape)} is needed")
    part.copy_(found)
