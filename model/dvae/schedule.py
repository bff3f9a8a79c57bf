"""The three cosine schedules of dVAE training (Ramesh et al. 2021, appendix A.2)."""

from __future__ import annotations

import math


def cosine(step: int, start: float, end: float, over_steps: int) -> float:
    """From `start` at step 0 along half a cosine to `end` at `over_steps`, then `end`."""
    if step >= over_steps:
        return end
    return end + (start - end) * (1 + math.cos(math.pi * step / over_steps)) / 2


def ema_decay(step: int, limit: float) -> float:
    """How much of the average to keep after update `step` (0-based).

    The paper's constant 0.999, but no more than (1 + step) / (10 + step): without the ramp a short
    run would end with an average that still remembers its random start.
    """
    return min(limit, (1 + step) / (10 + step))
