"""What a run says: one line per interval, the same as JSON lines, and for TensorBoard."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from model.training.records import drop_records_after

logger = logging.getLogger(__name__)


class Progress:
    """Writes each measurement to all three places."""

    def __init__(self, metrics: Path, tensorboard: Path, steps_done: int) -> None:
        """Go on after `steps_done`; what an interrupted run wrote beyond it is dropped."""
        self._metrics = metrics
        drop_records_after(metrics, steps_done)
        self._writer = SummaryWriter(str(tensorboard), purge_step=steps_done + 1)

    def write(self, step: int, values: Mapping[str, float], line: str) -> None:
        """Record `values` of the state after `step` updates, and say `line`."""
        logger.info("%s", line)
        with self._metrics.open("a") as file:
            file.write(json.dumps({"step": step} | dict(values)) + "\n")
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


def training_line(step: int, values: Mapping[str, float], remaining_s: float) -> str:
    """The console line of one interval; where `values` has the share of the GPU's peak, that too.

    >>> values = {"loss": 4.3124, "text": 5.2, "image": 4.2, "rate": 2.9e-4, "gradient": 0.41,
    ...           "tokens_per_s": 12400.0}
    >>> training_line(1200, values, 185)
    'step 1200  loss 4.312  text 5.200  image 4.200  lr 2.9e-04  grad 0.41  tok/s 1.24e+04  eta 3m'
    """
    mfu = f"  mfu {100 * values['mfu']:.1f}%" if "mfu" in values else ""
    return (
        f"step {step}  loss {values['loss']:.3f}  text {values['text']:.3f}"
        f"  image {values['image']:.3f}  lr {values['rate']:.1e}  grad {values['gradient']:.2f}"
        f"  tok/s {values['tokens_per_s']:.2e}{mfu}  eta {_duration(remaining_s)}"
    )


def held_out_line(step: int, text: float, image: float, kept: bool) -> str:
    """The console line of a held-out measurement."""
    said = "  best so far, kept" if kept else ""
    return f"step {step}  held-out  text {text:.3f}  image {image:.4f}{said}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f}s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f}m"
    return f"{seconds / 3600:.1f}h"
