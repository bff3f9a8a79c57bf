"""One update of the weights: `measure` goes there and back, `apply` takes the step.

Between the two stands the decision of all ranks whether the step may be taken. The batch is cut
into micro-batches, their gradients are summed; each rank counts the targets of all ranks, so that
the loss of a global batch is the same however many ranks share it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.checkpoint import Checkpoint
from model.config import Run
from model.loading.batch import Batch
from model.optim import AdamW, clip_gradients
from model.training.average import Average
from model.training.distribution import Distribution
from model.training.precision import Precision, make_precision
from model.training.restoring import fill_tables
from model.training.spreading import Spread, spread
from model.transformer import IMAGE_WEIGHT, TEXT_WEIGHT, Transformer
from tokens.draw import keyed_generator


@dataclass(frozen=True, slots=True)
class Measured:
    """What one global batch gave; the same on every rank."""

    text: float
    """Mean loss of a caption target, nats."""
    image: float
    gradient: float
    """Norm of the gradient, before clipping."""
    usable: bool
    """False where the arithmetic asks to leave the update out: an overflow, which its scale
    is going to mend."""
    signals: tuple[float, ...]
    """What the ranks had to tell each other, summed."""

    @property
    def loss(self) -> float:
        return TEXT_WEIGHT * self.text + IMAGE_WEIGHT * self.image


class Update:
    """The network with all that changes its weights."""

    def __init__(
        self,
        run: Run,
        model: Transformer,
        spread: Spread,
        precision: Precision,
        distribution: Distribution,
    ) -> None:
        """
        Args:
            spread: `model` as the ranks share it.
        """
        self.run, self.model, self.spread = run, model, spread
        self.precision, self.distribution = precision, distribution
        self.optimizer = AdamW(model, run.optim)
        self.average = Average(model, run.optim)
        self.device = distribution.device

    def measure(self, batch: Batch, step: int, signals: Sequence[float] = ()) -> Measured:
        """Losses and clipped gradients of this rank's slice of global batch number `step`."""
        text, image = self._tensors(batch, step)
        text_count, image_count = self._count_targets(text)
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        for part, is_last in self._micro_batches(step, len(text)):
            with self.spread.accumulating(is_last):
                sums += self._microbatch(text[part], image[part], text_count, image_count)
        usable = self.precision.unscale()
        norm = clip_gradients(self.model.parameters(), self.run.optim.max_gradient_norm)
        share = norm / self.distribution.world.size  # every rank adds the same norm
        found = self.distribution.total([sums[0], sums[1], share, float(not usable), *signals])
        return Measured(found[0], found[1], found[2], not found[3], tuple(found[4:]))

    def apply(self, updates: int, rate: float, gradient_norm: float) -> None:
        """Take the step that the gradients ask for.

        Args:
            updates: how many there have been before.
            gradient_norm: before clipping.
        """
        norm = min(gradient_norm, self.run.optim.max_gradient_norm)
        self.optimizer.step(updates, rate, norm)

    def leave_out(self) -> None:
        """Take no step."""
        self.optimizer.forget_gradients()

    def rehearse(self) -> None:
        """Go there and back on nothing, where the order of gradients has to be known before."""
        if self.spread.powersgd is None:
            return
        layout = self.run.layout
        text = torch.zeros(1, layout.text_slots, dtype=torch.int64)
        image = torch.zeros(1, layout.num_codes, dtype=torch.int64)
        self.spread.powersgd.rehearsing = True
        self._microbatch(text.to(self.device), image.to(self.device), 1.0, 1.0)
        self.spread.powersgd.rehearsing = False
        self.leave_out()

    def tables(self) -> dict[str, dict[str, Tensor]]:
        """All tensors that decide how the run goes on, for a checkpoint."""
        tables = self._tables_in_place() | {"precision": self.precision.state_dict()}
        if self.spread.powersgd is not None:
            tables["powersgd"] = self.spread.powersgd.tables()
        return tables

    def _tables_in_place(self) -> dict[str, dict[str, Tensor]]:
        """Who writes into these tensors sets them."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.average.state_dict(),
        }

    def restore(self, found: Checkpoint) -> None:
        """Take over the tensors of a checkpoint, or this rank's slices of them.

        Raises:
            ValueError: it does not fit this run.
        """
        fill_tables(found, self._tables_in_place())
        self.precision.load_state_dict(found.read_table("precision"))
        if self.spread.powersgd is not None and "powersgd" in found.tables:
            self.spread.powersgd.load(found.read_table("powersgd"), self.device)

    def _tensors(self, batch: Batch, step: int) -> tuple[Tensor, Tensor]:
        text = batch.text
        if share := self.run.optim.caption_dropout:
            first = self.distribution.world.rank * len(text)
            dropped = dropped_captions(self.run, share, step)[first : first + len(text)]
            text = np.where(dropped[:, None], empty_caption(self.run).astype(text.dtype), text)
        return Batch(batch.pair_ids, text, batch.image).to(self.device)

    def _count_targets(self, text_BT: Tensor) -> tuple[float, float]:
        """Caption and image targets of the global batch; most runs know without being told."""
        rows = self.run.loop.batch_size
        image_count = float(rows * self.run.layout.num_codes)
        if self.run.network.counted_pads == "all":
            return float(rows * self.run.layout.text_slots), image_count
        counted = self.model.counted_targets(text_BT).sum()
        return self.distribution.total([counted])[0], image_count

    def _micro_batches(self, step: int, rows: int) -> Iterator[tuple[slice, bool]]:
        """Slices of this rank's rows, and whether each is the last. Dropout is drawn anew for each,
        keyed by the seed, the step and the slice's place in the global batch: it is the same for
        any number of ranks that cut the batch at the same places, and no state of it is kept."""
        size = self.run.loop.micro_batch_size
        for start in range(0, rows, size):
            place = self.distribution.world.rank * rows + start
            key = f"step {step} row {place}".encode()
            torch.manual_seed(
                int(keyed_generator(key, "dropout", self.run.loop.seed).integers(2**63))
            )
            yield slice(start, min(start + size, rows)), start + size >= rows

    def _microbatch(
        self, text_BT: Tensor, image_BI: Tensor, text_count: float, image_count: float
    ) -> Tensor:
        """Add the gradients of some sequences; their shares of the two losses."""
        with self.precision.compute():
            losses = self.spread.network(text_BT, image_BI)
        text = losses.text_N.sum() / text_count
        image = losses.image_BI.sum() / image_count
        # gradients are averaged over ranks, and should be summed
        scale = self.distribution.world.size
        self.precision.backward(scale * (TEXT_WEIGHT * text + IMAGE_WEIGHT * image))
        return torch.stack([text.detach(), image.detach()]).double()


def make_update(run: Run, distribution: Distribution) -> Update:
    """The network of `run` at its initial weights, laid over the ranks."""
    model = Transformer(run.network, run.layout)
    model.initialise(run.loop.seed)
    model.to(distribution.device).train()
    shared = spread(model, run.execution, distribution.world)
    parts = run.loop.batch_size // distribution.world.size // run.loop.micro_batch_size
    precision = make_precision(run.execution.precision, model, max(1, parts))
    update = Update(run, model, shared, precision, distribution)
    update.rehearse()
    return update


def empty_caption(run: Run) -> npt.NDArray[np.int64]:
    """The caption of no words: each slot's own pad, shape [text_slots]."""
    return run.layout.text_vocab_size + np.arange(run.layout.text_slots)


def dropped_captions(run: Run, share: float, step: int) -> npt.NDArray[np.bool_]:
    """Which captions of global batch number `step` are replaced by the empty one.

    A pair's draw is that of its place in the run's stream of pairs: another one in each epoch.
    """
    generator = keyed_generator(f"step {step}".encode(), "caption_dropout", run.loop.seed)
    return generator.random(run.loop.batch_size) < share
