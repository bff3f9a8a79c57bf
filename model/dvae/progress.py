"""What a dVAE run says while it goes: a line and a JSON record per interval."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from model.dvae.config import DvaeTraining
from model.dvae.loss import perplexity
from model.dvae.run import StepResult
from model.training.records import drop_records_after

Say = Callable[[str], None]


class DvaeProgress:
    """Means over the updates since the last line, said at most every `log_every_s` seconds."""

    def __init__(
        self, config: DvaeTraining, metrics: Path, step: int, log_every_s: float, say: Say
    ) -> None:
        self._config, self._metrics, self._log_every_s, self._say = (
            config,
            metrics,
            log_every_s,
            say,
        )
        self._totals = torch.zeros(3)
        self._counts_V = torch.zeros(config.vocab_size, dtype=torch.long)
        self._first_step, self._first_s = step, time.monotonic()
        drop_records_after(metrics, step)

    def add(self, step: int, result: StepResult) -> None:
        """Take in the update that brought the run to `step`; says a line when one is due."""
        terms = (result.loss.total, result.loss.nats, result.loss.kl)
        self._totals += torch.stack([term.detach() for term in terms]).cpu()
        self._counts_V += result.counts_V.cpu()
        now_s = time.monotonic()
        if now_s - self._first_s < self._log_every_s and step < self._config.steps:
            return
        record = self._record(step, result, now_s - self._first_s)
        with self._metrics.open("a") as file:
            file.write(json.dumps(record) + "\n")
        self._say(progress_line(record, self._config))
        self._totals.zero_()
        self._counts_V.zero_()
        self._first_step, self._first_s = step, now_s

    def _record(self, step: int, result: StepResult, seconds: float) -> dict[str, float]:
        updates = step - self._first_step
        loss, nats, kl = (self._totals / updates).tolist()
        return {
            "step": step,
            "loss": loss,
            "nats_per_value": nats,
            "kl": kl,
            "perplexity": perplexity(self._counts_V),
            **asdict(result.scheduled),
            "images_per_s": updates * self._config.batch_size / seconds,
        }


def progress_line(record: dict[str, float], config: DvaeTraining) -> str:
    """One line for a person: where the run is, how well it does, when it will be done."""
    left_s = (config.steps - record["step"]) * config.batch_size / record["images_per_s"]
    return (
        f"step {record['step']:,.0f}/{config.steps:,}  loss {record['loss']:.4f}  "
        f"nats/value {record['nats_per_value']:.4f}  KL {record['kl']:.3f}  "
        f"perplexity {record['perplexity']:.0f}/{config.vocab_size}  "
        f"temperature {record['temperature']:.3f}  {record['images_per_s']:.1f} img/s  "
        f"ETA {duration(left_s)}"
    )


def duration(seconds: float) -> str:
    """Hours, minutes and seconds: 3725 -> 1:02:05."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
