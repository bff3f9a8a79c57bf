"""Sequences side by side, narrow in memory and wide on the device.

An id fits 16 bits, the network's tables want 64: a batch crosses to the device as it is stored
(2.6 kB a sequence of 256 + 1,024) and is widened there.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tokens.sequence import SequenceLayout, code_dtype


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences in two parts, as numpy arrays of uint16 (uint32 for larger vocabularies)."""

    pair_ids: npt.NDArray[np.void]
    """[B], 16 bytes each"""
    text: npt.NDArray[Any]
    """[B, text_slots]"""
    image: npt.NDArray[Any]
    """[B, num_codes]"""

    def __len__(self) -> int:
        return len(self.text)

    def to(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Text [B, text_slots] and image [B, num_codes] on `device`, int64.

        From pinned memory the copies run beside the device's work; torch's allocator of pinned
        memory gives a batch's memory to no other one before they are done.
        """
        text, image = (
            torch.from_numpy(part).to(device, non_blocking=True).to(torch.int64)
            for part in (self.text, self.image)
        )
        return text, image


@functools.cache
def text_dtype(layout: SequenceLayout) -> npt.DTypeLike:
    """The smaller of uint16 and uint32 that holds every id of a text slot."""
    return code_dtype(layout.text_outputs)


def empty_batch(layout: SequenceLayout, rows: int) -> Batch:
    """A batch to be filled, in pinned memory where there is a CUDA device.

    Pinned memory comes from torch's caching allocator: after the first few batches it is a ring
    of slots that are used again, each once no batch and no copy to the device needs it any more.
    """
    return Batch(
        np.empty(rows, "V16"),
        _empty((rows, layout.text_slots), text_dtype(layout)),
        _empty((rows, layout.num_codes), code_dtype(layout.image_vocab_size)),
    )


def join_batches(parts: Sequence[Batch]) -> Batch:
    """One batch of several, in order."""
    if len(parts) == 1:
        return parts[0]
    return Batch(
        np.concatenate([part.pair_ids for part in parts]),
        np.concatenate([part.text for part in parts]),
        np.concatenate([part.image for part in parts]),
    )


def _empty(shape: tuple[int, int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    if not _has_cuda():
        return np.empty(shape, dtype)
    kind = {2: torch.uint16, 4: torch.uint32}[np.dtype(dtype).itemsize]
    pinned: npt.NDArray[Any] = torch.empty(shape, dtype=kind, pin_memory=True).numpy()
    return pinned


@functools.cache
def _has_cuda() -> bool:
    """Asked once: the question costs as much as a small batch."""
    return torch.cuda.is_available()
