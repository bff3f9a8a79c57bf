"""Codes of a stream of pictures: while a slot computes, the next one is filled.

    pictures --> slot 0: buffer -> network -> codes --> codes, in the pictures' order
             `-> slot 1: buffer -> network -> codes -'

On a CPU a slot holds one picture and computes when it is filled: one slot does. On a GPU two do
(`gpu_slot.py`).

Shape letters: B pictures, H W pixels, C channels, V vocabulary, h w code grid.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tokens.exact import exact_arithmetic
from tokens.weights import CodeNetwork

Pixels = npt.NDArray[np.uint8]
MakeCodes = Callable[[Tensor], Tensor]

NO_CODE = -1
"""In the place of a code whose score is not finite: the arithmetic's range was too small."""


class Slot(Protocol):
    """A place for the pictures of one batch, from their pixels to their codes."""

    @property
    def size(self) -> int:
        """Pictures at most; always the same number is computed."""

    def start(self, images: Sequence[Pixels]) -> None:
        """Take pictures [H, W, 3] and begin."""

    def finish(self) -> npt.NDArray[Any]:
        """Wait for their codes: int64 [B, h, w]."""


def stream_codes(slots: Sequence[Slot], images: Iterable[Pixels]) -> Iterator[npt.NDArray[Any]]:
    """int64 [h, w] of each picture, in order."""
    free, busy, waiting = deque(slots), deque[Slot](), iter(images)
    while batch := tuple(islice(waiting, slots[0].size)):
        if not free:
            free.append(busy.popleft())
            yield from free[0].finish()
        slot = free.popleft()
        slot.start(batch)
        busy.append(slot)
    for slot in busy:
        yield from slot.finish()


def codes_by(model: CodeNetwork) -> MakeCodes:
    """The network as a function: uint8 [B, H, W, 3] -> int64 [B, h, w], or `NO_CODE`."""

    def make(images_BHWC: Tensor) -> Tensor:
        pixels_BCHW = images_BHWC.permute(0, 3, 1, 2).float() / 255
        best_Bhw, codes_Bhw = model.scores(pixels_BCHW).max(dim=-1)
        return codes_Bhw.where(best_Bhw.isfinite(), NO_CODE)

    return make


class CpuSlot:
    """One picture, whose codes depend on nothing else: not on its batch, nor on the cores."""

    size = 1

    def __init__(self, make: MakeCodes) -> None:
        self._make = make

    def start(self, images: Sequence[Pixels]) -> None:
        images_BHWC = torch.from_numpy(np.stack(images))
        with exact_arithmetic(torch.device("cpu")):
            self._codes_Bhw = self._make(images_BHWC).numpy()

    def finish(self) -> npt.NDArray[Any]:
        return self._codes_Bhw
