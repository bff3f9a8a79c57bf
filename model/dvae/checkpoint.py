"""The state of a dVAE run on disk: one safetensors file with a JSON entry, replaced by rename.

Batches and noise are functions of the seed and the step, so that the weights, their average, the
optimiser's moments and the step are all there is.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

METADATA_KEY = "dvae_run"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a run continues from."""

    step: int
    """Updates done."""

    run: dict[str, Any]
    """What must be equal for the run to be the same: the configuration and the pictures."""

    tensors: dict[str, Tensor]
    """`model.*`, `average.*` and `<moment>.*` by parameter name."""


def write_atomic(path: Path, data: bytes) -> None:
    """Replace the file at `path`, or leave it as it was: never half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the whole state; the one before it stays until this one is complete."""
    about = json.dumps({"step": checkpoint.step, "run": checkpoint.run}, sort_keys=True)
    tensors = {name: t.detach().cpu().contiguous() for name, t in checkpoint.tensors.items()}
    write_atomic(path, safetensors.torch.save(tensors, {METADATA_KEY: about}))


def load_checkpoint(path: Path, run: dict[str, Any]) -> Checkpoint | None:
    """The state at `path`, or None where there is none.

    Raises:
        ValueError: it belongs to another run, or is not a checkpoint.
    """
    if not path.exists():
        return None
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()[METADATA_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as err:
        raise ValueError(f"{path} is not a dVAE checkpoint: remove it to start again") from err
    for name in sorted(run.keys() | about["run"].keys()):
        was, asked = about["run"].get(name), run.get(name)
        if was != asked:
            raise ValueError(
                f"{path} belongs to a run with {name} {was}, asked for {asked}: "
                "give the same flags, or another --out, or remove it to start again"
            )
    return Checkpoint(about["step"], about["run"], tensors)


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, names: dict[str, torch.nn.Parameter]
) -> dict[str, Tensor]:
    """The moments by `<moment>.<parameter name>`."""
    return {
        f"{moment}.{name}": optimizer.state[parameter][moment]
        for name, parameter in names.items()
        for moment in MOMENTS
        if parameter in optimizer.state
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    names: dict[str, torch.nn.Parameter],
    tensors: dict[str, Tensor],
) -> None:
    """Put the moments back where `optimizer_tensors` took them from."""
    for name, parameter in names.items():
        if f"{MOMENTS[0]}.{name}" in tensors:
            optimizer.state[parameter] = {
                moment: tensors[f"{moment}.{name}"].to(
                    "cpu" if moment == "step" else parameter.device
                )
                for moment in MOMENTS
            }
