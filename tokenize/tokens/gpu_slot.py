"""A batch's way through a GPU: page-locked memory, a recorded graph, page-locked memory again.

Two slots take turns on one stream: while the GPU uploads, computes and downloads one batch, threads
decode the next and this one writes it into the other slot. An upload (6 MB) costs the GPU a
hundredth of what a batch does, so it has no stream of its own. The graph spares the launches of
some hundred kernels, which would else keep a core busy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tokens.code_slots import MakeCodes, Pixels
from tokens.exact import exact_arithmetic

BATCH_PIXELS = 32 * 256 * 256
"""Of a batch: 32 pictures at the paper's side. The largest activations of the published dVAE are
then 1 GiB each in float16; another side gets as many pictures as make the same."""

WARM_UP_ROUNDS = 3
"""Before a recording: libraries choose algorithms and take memory in the first rounds."""


def batch_size(height_px: int, width_px: int) -> int:
    """Pictures per batch: a function of their size alone, so that nothing else decides a code."""
    return max(1, BATCH_PIXELS // (height_px * width_px))


class CodeGraph:
    """A network over one fixed batch, recorded once and played as a whole."""

    def __init__(self, make: MakeCodes, images_BHWC: Tensor) -> None:
        self.images_BHWC = images_BHWC
        with torch.cuda.device(images_BHWC.device), exact_arithmetic(images_BHWC.device):
            beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's own gap
            beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(beside):
                for _ in range(WARM_UP_ROUNDS):
                    make(images_BHWC)
            torch.cuda.current_stream().wait_stream(beside)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self.codes_Bhw = make(images_BHWC)

    def play(self) -> None:
        """Codes of what `images_BHWC` holds when the stream comes to it."""
        self._graph.replay()


class GpuSlot:
    """One of the batches that are on their way."""

    def __init__(self, graph: CodeGraph) -> None:
        self._graph = graph
        self._images_BHWC = torch.empty(graph.images_BHWC.shape, dtype=torch.uint8, pin_memory=True)
        self._codes_Bhw = torch.empty(graph.codes_Bhw.shape, dtype=torch.int64, pin_memory=True)
        self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch's own gap
        self._num_images = 0

    @property
    def size(self) -> int:
        return len(self._images_BHWC)

    def start(self, images: Sequence[Pixels]) -> None:
        self._num_images = len(images)
        buffer = self._images_BHWC.numpy()
        np.stack(images, out=buffer[: len(images)])
        buffer[len(images) :] = 0
        graph = self._graph
        with torch.cuda.device(graph.images_BHWC.device), torch.inference_mode():
            graph.images_BHWC.copy_(self._images_BHWC, non_blocking=True)
            graph.play()
            self._codes_Bhw.copy_(graph.codes_Bhw, non_blocking=True)
            self._done.record()

    def finish(self) -> npt.NDArray[Any]:
        self._done.synchronize()
        return self._codes_Bhw.numpy()[: self._num_images].copy()


def open_gpu_slots(
    make: MakeCodes, device: torch.device, height_px: int, width_px: int
) -> tuple[GpuSlot, ...]:
    """Two slots over one recording, for pictures of one size."""
    shape = (batch_size(height_px, width_px), height_px, width_px, 3)
    graph = CodeGraph(make, torch.zeros(shape, dtype=torch.uint8, device=device))
    return GpuSlot(graph), GpuSlot(graph)
