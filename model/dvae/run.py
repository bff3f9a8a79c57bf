"""The training loop of the dVAE: what one update computes, and what is kept between updates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model.dvae.checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from model.dvae.config import DvaeTraining
from model.dvae.loss import DvaeLoss, dvae_loss, logit_laplace, relax
from model.dvae.pictures import Batches, Pictures
from model.dvae.schedule import cosine, ema_decay
from model.dvae.warm_start import MAX_POINTS_PER_CODE, Bridge, place_codes
from tokens.dvae import Dvae, map_pixels


@dataclass(frozen=True, slots=True)
class Scheduled:
    """What the schedules give for one update (appendix A.2)."""

    temperature: float
    kl_weight: float
    learning_rate: float


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one update saw."""

    loss: DvaeLoss
    counts_V: Tensor
    """How often each code was the most likely one in the batch."""
    scheduled: Scheduled


class DvaeRun:
    """A run from its first update, from a checkpoint, or from given weights, to its last update."""

    def __init__(
        self, config: DvaeTraining, pictures: Pictures, device: str, initial: Dvae | None = None
    ) -> None:
        if initial is not None and initial.sizes != config.sizes:
            raise ValueError(
                f"the weights to start from are of {initial.sizes}, not {config.sizes}"
            )
        self.config = config
        self.step = 0
        self.device = torch.device(device)
        self.autocast = _wants_bf16(config.precision, self.device)
        self._batches = Batches(pictures, config.side_px, config.batch_size, config.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model = Dvae(config.sizes)
            self._bridge = Bridge(self.model) if config.warm_start_steps else None
        if initial is None:
            _open_residuals(self.model, config.residual_gain)
        else:
            self.model.load_state_dict(initial.state_dict())
        self.model.on(self.device)
        if self._bridge is not None:
            self._bridge.to(self.device)
        self._noise = torch.Generator(self.device)
        self._begin_phase()

    def _begin_phase(self) -> None:
        """A fresh average and a fresh optimiser, from the weights as they are."""
        self.average = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        self._optimizer = torch.optim.AdamW(
            self._parameters().values(), betas=(0.9, 0.999), weight_decay=self.config.weight_decay
        )

    def _parameters(self) -> dict[str, nn.Parameter]:
        """What the optimiser moves: the bridge too, as long as there is one."""
        parameters = dict(self.model.named_parameters())
        if self._bridge is not None:
            parameters |= dict(self._bridge.named_parameters(prefix="bridge"))
        return parameters

    def resume(self, path: Path, run: dict[str, Any]) -> None:
        """Go on from the checkpoint at `path`, where there is one.

        Raises:
            ValueError: it is of another run.
        """
        saved = load_checkpoint(path, run)
        if saved is None:
            return
        if self._bridge is not None and not any("bridge." in name for name in saved.tensors):
            self._bridge = None
            self._begin_phase()
        parameters = self._parameters()
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(saved.tensors[f"model.{name}"])
            for name, average in self.average.items():
                average.copy_(saved.tensors[f"average.{name}"])
        restore_optimizer(self._optimizer, parameters, saved.tensors)
        self.step = saved.step

    def save(self, path: Path, run: dict[str, Any]) -> None:
        """Write everything that `resume` needs."""
        parameters = self._parameters()
        tensors = {f"model.{name}": p.detach() for name, p in parameters.items()}
        tensors |= {f"average.{name}": average for name, average in self.average.items()}
        tensors |= optimizer_tensors(self._optimizer, parameters)
        save_checkpoint(path, Checkpoint(self.step, run, tensors))

    def steps(self, stop: int) -> Iterator[StepResult]:
        """Make updates until `stop` of them are done, one result after each."""
        for pixels in self._batches.from_step(self.step, stop):
            result = self.update(pixels)
            self.step += 1
            yield result

    def update(self, pixels: npt.NDArray[np.uint8]) -> StepResult:
        """One update from pictures uint8 [B, side, side, 3]."""
        config = self.config
        if self._bridge is not None and self.step == config.warm_start_steps:
            self._end_warm_start()
        self._noise.manual_seed((config.seed << 40) + self.step)
        mapped_BCHW = map_pixels(to_tensor(pixels, self.device))
        scheduled = schedules(config, self.step)
        if self._bridge is not None:
            loss, counts_V = self._copy_loss(mapped_BCHW)
        else:
            loss, counts_V = self._code_loss(mapped_BCHW, scheduled)
        self._move_weights(loss.total, scheduled.learning_rate)
        return StepResult(loss, counts_V, scheduled)

    def _code_loss(self, mapped_BCHW: Tensor, scheduled: Scheduled) -> tuple[DvaeLoss, Tensor]:
        """The paper's loss, and how often each code was the most likely one."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            logits_BVhw = self.model.encoder(mapped_BCHW)
            relaxed_BVhw = relax(logits_BVhw, scheduled.temperature, self._noise)
            statistics_BSHW = self.model.decoder(relaxed_BVhw)
        loss = dvae_loss(
            mapped_BCHW,
            logits_BVhw,
            statistics_BSHW,
            scheduled.kl_weight,
            self.config.min_log_scale,
        )
        codes = logits_BVhw.detach().argmax(dim=1).flatten()
        return loss, torch.bincount(codes, minlength=self.config.vocab_size)

    def _copy_loss(self, mapped_BCHW: Tensor) -> tuple[DvaeLoss, Tensor]:
        """The loss of the warm start, which has no codes yet."""
        assert self._bridge is not None
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            statistics_BSHW = self._bridge.copy(self.model, mapped_BCHW, self._noise)
        nats = -logit_laplace(mapped_BCHW, statistics_BSHW, self.config.min_log_scale).mean()
        counts_V = torch.zeros(self.config.vocab_size, dtype=torch.long, device=self.device)
        return DvaeLoss(nats, nats, torch.zeros_like(nats)), counts_V

    def _end_warm_start(self) -> None:
        """Place the codes by pictures of the steps to come; the bridge has done its work."""
        bridge, config = self._bridge, self.config
        assert bridge is not None
        vectors = []
        positions = (config.side_px // config.sizes.stride) ** 2 * config.batch_size
        batches = -(-2 * MAX_POINTS_PER_CODE * config.vocab_size // positions)
        with torch.no_grad():
            for step in range(self.step, self.step + batches):
                mapped_BCHW = map_pixels(to_tensor(self._batches.batch(step), self.device))
                vectors.append(bridge.vectors(self.model, mapped_BCHW).permute(0, 2, 3, 1))
        vectors_PK = torch.cat([part.flatten(0, 2) for part in vectors])
        self._noise.manual_seed(config.seed)
        order_P = torch.randperm(len(vectors_PK), generator=self._noise, device=self.device)
        place_codes(self.model, bridge, vectors_PK[order_P], config.seed)
        self._bridge = None
        self._begin_phase()

    def _move_weights(self, loss: Tensor, learning_rate: float) -> None:
        """One step of the optimiser and of the average."""
        config = self.config
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if config.max_gradient_norm:
            torch.nn.utils.clip_grad_norm_(self._parameters().values(), config.max_gradient_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        weights = [parameter.detach() for parameter in self.model.parameters()]
        share = 1 - ema_decay(phase_step(config, self.step), config.ema_decay)
        torch._foreach_lerp_(list(self.average.values()), weights, share)

    def averaged(self) -> Dvae:
        """The model with the averaged weights, on the CPU, for use."""
        model = Dvae(self.config.sizes)
        model.load_state_dict(self.average)
        return model.eval().requires_grad_(False)


def schedules(config: DvaeTraining, step: int) -> Scheduled:
    """The schedules begin where the warm start ends; its learning rate falls by itself."""
    temperature_steps = config.scaled(config.temperature_steps, 150_000)
    kl_steps = config.scaled(config.kl_steps, 5_000)
    rate_steps = config.scaled(config.learning_rate_steps, 1_200_000)
    within = phase_step(config, step)
    if step < config.warm_start_steps:
        rate = config.warm_start_learning_rate
        return Scheduled(1.0, 0.0, cosine(step, rate, rate / 10, config.warm_start_steps))
    return Scheduled(
        cosine(within, config.first_temperature, config.final_temperature, temperature_steps),
        cosine(within, 0.0, config.kl_weight, kl_steps),
        cosine(within, config.learning_rate, config.final_learning_rate, rate_steps),
    )


def phase_step(config: DvaeTraining, step: int) -> int:
    """Updates since the warm start ended, or since it began."""
    return step - config.warm_start_steps if step >= config.warm_start_steps else step


@torch.no_grad()
def _open_residuals(model: Dvae, gain: float) -> None:
    """Start the residual branches `gain` times as strong, shared by their four convolutions."""
    for name, parameter in model.named_parameters():
        if "res_path" in name:
            parameter.mul_(gain**0.25)


def to_tensor(pixels: npt.NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 [B, H, W, 3] -> float32 [B, 3, H, W] in [0, 1], in channels-last memory as it came."""
    return torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float().div_(255)


def _wants_bf16(precision: str, device: torch.device) -> bool:
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return precision == "bf16"
