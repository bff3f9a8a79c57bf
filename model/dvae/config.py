"""Every knob of dVAE training, with the paper's value as its default.

Schedules are given in updates. Where a length is None it is the paper's, scaled by `steps` /
3,000,000, so that a shorter run goes through the same schedules faster.
"""

from __future__ import annotations

import ast
import inspect
import itertools
from dataclasses import dataclass, fields
from typing import Any

from model.dvae.loss import MIN_LOG_SCALE
from tokens.dvae import DvaeSizes

PAPER_STEPS = 3_000_000
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True, slots=True)
class DvaeTraining:
    """One run; numbers are from Ramesh et al. 2021, section 2.1 and appendix A.2, unless they say
    not."""

    side_px: int = 256
    """Side of the training crops in pixels."""

    steps: int = PAPER_STEPS
    """Updates in the whole run."""

    batch_size: int = 512
    """Pictures per update."""

    hidden: int = 256
    """Channels at full resolution; each group towards the codes doubles them."""

    vocab_size: int = 8192
    """Number of image codes."""

    decoder_init: int = 128
    """Length of a codebook vector."""

    blocks_per_group: int = 2
    """Residual blocks in each of the four groups of both halves."""

    learning_rate: float = 1e-4
    """Step size at the start."""

    final_learning_rate: float = 1.25e-6
    """Step size at the end of its schedule."""

    learning_rate_steps: int | None = None
    """Updates from the first step size to the last; the paper's 1,200,000, scaled."""

    kl_weight: float = 6.6
    """Weight of the KL term after its ramp from 0."""

    kl_steps: int | None = None
    """Updates of that ramp; the paper's 5,000, scaled."""

    first_temperature: float = 1.0
    """Temperature of the relaxation at the start."""

    final_temperature: float = 1 / 16
    """Temperature of the relaxation after its fall."""

    temperature_steps: int | None = None
    """Updates of that fall; the paper's 150,000, scaled."""

    weight_decay: float = 1e-4
    """AdamW's, with betas 0.9 and 0.999 and epsilon 1e-8."""

    max_gradient_norm: float = 0.0
    """Gradients are scaled down to this norm; 0 leaves them alone (the paper names no clipping)."""

    ema_decay: float = 0.999
    """Share of the averaged weights that an update keeps; ramps up over a run's first updates."""

    min_log_scale: float = MIN_LOG_SCALE
    """Least ln b of the likelihood (not in the paper: photographs are never exactly flat)."""

    residual_gain: float = 1.0
    """First strength of the residual branches against the published start; short runs want more."""

    warm_start_steps: int = 0
    """Updates as a plain autoencoder before the codes come in, for short runs; 0 is the paper."""

    warm_start_learning_rate: float = 3e-3
    """Step size of the warm start, which falls to a tenth of it."""

    precision: str = "auto"
    """fp32, or bf16 but for the layers beside the relaxation; auto: bf16 on a GPU that has it."""

    seed: int = 0
    """Of the first weights, the order, the crops and the relaxation's noise."""

    def __post_init__(self) -> None:
        least: dict[str, float] = {"steps": 1, "batch_size": 1, "side_px": self.sizes.stride}
        least |= {"learning_rate": 0, "final_learning_rate": 0, "kl_weight": 0, "seed": 0}
        least |= {"weight_decay": 0, "max_gradient_norm": 0, "ema_decay": 0}
        for name, limit in least.items():
            if not getattr(self, name) >= limit:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least {limit}")
        if self.side_px % self.sizes.stride:
            raise ValueError(
                f"side_px is {self.side_px}, must be a multiple of {self.sizes.stride}"
            )
        if not 0 < self.final_temperature <= 1:
            raise ValueError(f"final_temperature is {self.final_temperature}, must be in (0, 1]")
        if self.ema_decay >= 1:
            raise ValueError(f"ema_decay is {self.ema_decay}, must be below 1")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is {self.precision!r}, must be one of {PRECISIONS}")

    @property
    def sizes(self) -> DvaeSizes:
        """The network's."""
        return DvaeSizes(
            vocab_size=self.vocab_size,
            hidden=self.hidden,
            decoder_init=self.decoder_init,
            blocks_per_group=self.blocks_per_group,
        )

    def scaled(self, given: int | None, paper_steps: int) -> int:
        """The length of a schedule: as given, else the paper's in proportion to this run."""
        if given is not None:
            return given
        return paper_steps * (self.steps - self.warm_start_steps) // PAPER_STEPS


PRESETS = {
    "paper": DvaeTraining(),
    "small": DvaeTraining(
        side_px=128,
        steps=6_225,
        batch_size=4,
        hidden=16,
        vocab_size=1024,
        decoder_init=64,
        blocks_per_group=1,
        learning_rate=5e-4,
        final_learning_rate=1e-5,
        learning_rate_steps=7_800,
        kl_weight=0.5,
        kl_steps=2_000,
        first_temperature=0.25,
        temperature_steps=2_000,
        max_gradient_norm=5.0,
        min_log_scale=-1.5,
        residual_gain=24.0,
        warm_start_steps=2_200,
        warm_start_learning_rate=4e-3,
    ),
}
"""Whole runs by name: the paper's, and the one that made the bundled weights.

"small" was planned for 10,000 updates and stopped at 6,225, after 22 minutes on two cores, so its
learning rate has not reached the end of its fall. Without the warm start, trials of 350 to 750
updates ended at a code perplexity of 1 to 8 of 512; the warm start puts nearly all codes in use.
"""


def field_help(config: type[DvaeTraining]) -> list[tuple[str, type, Any, str]]:
    """Name, type, default and the string under each field: what a door makes flags of."""
    (definition,) = ast.parse(inspect.getsource(config)).body
    assert isinstance(definition, ast.ClassDef)
    texts: dict[str, str] = {}
    for line, below in itertools.pairwise(definition.body):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            assert isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            texts[line.target.id] = " ".join(str(below.value.value).split())
    kinds = {"int": int, "int | None": int, "float": float, "str": str}
    return [(f.name, kinds[str(f.type)], f.default, texts[f.name]) for f in fields(config)]
