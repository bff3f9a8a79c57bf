"""Arithmetic that gives the same bits whatever the machine is busy with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[None]:
    """No gradients; on a CPU one thread, for the order of a sum depends on their number; on a GPU
    cuDNN's deterministic algorithms, and no TF32."""
    threads, tf32 = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
    deterministic = torch.backends.cudnn.deterministic
    try:
        if device.type == "cpu":
            torch.set_num_threads(1)
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = False, True
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.deterministic = deterministic
