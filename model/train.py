"""Train the transformer on a tokens folder.

    python model/train.py --data DIR/tokens --out RUN --preset tiny --minutes 45

prints a line per interval, keeps the averaged weights with the lowest held-out loss in RUN/best,
and ends with one line that says whether the model reads its captions (model/evaluate.py). The
same command again goes on from the last checkpoint, bit for bit; SIGINT and SIGTERM finish the
step, save and exit with 130 and 143.

The tiny preset trains about 18 pairs a second on two AVX2 cores (64 + 256 tokens each).
"""

import dataclasses
import logging
import math
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

import torch

from model import checkpoint
from model.config import Run
from model.corpus import TokenCorpus, read_split
from model.data import Position, TokenLoader
from model.evaluate import captions_line, default_device, measure_losses
from model.optim import AdamW, Average, Plateau, clip_gradients, learning_rate
from model.options import build_parser, make_run
from model.progress import Progress, training_line
from model.run_folder import RunFolder
from model.transformer import IMAGE_WEIGHT, TEXT_WEIGHT, Transformer

logger = logging.getLogger(__name__)


@dataclasses.dataclass(slots=True)
class Interval:
    """Sums since the last log line."""

    steps: int = 0
    text: float = 0.0
    image: float = 0.0
    gradient: float = 0.0
    began_s: float = dataclasses.field(default_factory=time.monotonic)


class Trainer:
    """One run: `run` is the loop, `step` one update, `microbatch` one pass there and back."""

    def __init__(
        self, run: Run, corpus: TokenCorpus, folder: RunFolder, device: torch.device
    ) -> None:
        self.settings, self.corpus, self.folder, self.device = run, corpus, folder, device
        torch.manual_seed(run.loop.seed)
        self.model = Transformer(run.network, run.layout)
        self.model.initialise(run.loop.seed)
        self.model.to(device).train()
        self.optimizer = AdamW(self.model, run.optim)
        self.average = Average(self.model, run.optim)
        self.loader = TokenLoader(corpus, run.loop.batch_size, run.loop.seed)
        self.held_out = read_split(corpus, "val", run.loop.eval_pairs, run.loop.seed)
        self.plateau = Plateau()
        self.interval = Interval()
        self.steps_done = 0
        self.total_steps = run.loop.steps or 0  # 0: not known before the first log line
        self.elapsed_s = 0.0
        self.best_loss = math.inf
        self.saved_step: int | None = None
        self.stop_signal: int | None = None

    def run(self) -> None:
        """Train to the end, or until a signal asks to stop."""
        self.restore()
        loop = self.settings.loop
        progress = Progress(self.folder.metrics, self.folder.tensorboard, self.steps_done)
        logger.info("training begins at step %d of %s", self.steps_done, self._end())
        while not self._finished() and self.stop_signal is None:
            began_s = time.monotonic()
            self.step()
            self.elapsed_s += time.monotonic() - began_s
            if self.steps_done % loop.log_every == 0:
                self._log(progress)
            if self.steps_done % loop.eval_every == 0 or self._finished():
                began_s = time.monotonic()
                self._evaluate(progress)
                self.elapsed_s += time.monotonic() - began_s
            if self.steps_done % loop.checkpoint_every == 0:
                self.save()
        if self.saved_step != self.steps_done:
            self.save()
        self.loader.close()
        progress.close()

    def step(self) -> None:
        """One update from one batch, in micro-batches.

        Raises:
            FloatingPointError: a loss or gradient is not finite; nothing has been updated.
        """
        loop, optim = self.settings.loop, self.settings.optim
        batch = self.loader.next_batch()
        text, image = torch.from_numpy(batch.text), torch.from_numpy(batch.image)
        text_count = int(self.model.counted_targets(text).sum())
        for i in range(0, loop.batch_size, loop.micro_batch_size):
            part = slice(i, i + loop.micro_batch_size)
            self.microbatch(text[part], image[part], text_count, image.numel())
        norm = clip_gradients(self.model.parameters(), optim.max_gradient_norm)
        if not math.isfinite(norm):
            raise FloatingPointError(
                f"step {self.steps_done + 1}: the gradient is not finite; the last checkpoint "
                "is from before; try a lower --learning_rate"
            )
        rate = self.rate()
        self.optimizer.step(self.steps_done, rate, min(norm, optim.max_gradient_norm))
        self.steps_done += 1
        self.average.update(self.steps_done)
        self.interval.steps += 1
        self.interval.gradient += norm

    def microbatch(
        self, text_BT: torch.Tensor, image_BI: torch.Tensor, text_count: int, image_count: int
    ) -> None:
        """Add the gradients of some sequences; the counts are those of the whole batch."""
        losses = self.model(text_BT.to(self.device), image_BI.to(self.device))
        text = losses.text_N.sum() / text_count
        image = losses.image_BI.sum() / image_count
        (TEXT_WEIGHT * text + IMAGE_WEIGHT * image).backward()
        self.interval.text += text.item()
        self.interval.image += image.item()

    def rate(self) -> float:
        """The learning rate of the next update."""
        return learning_rate(
            self.settings.optim,
            self.steps_done,
            self.total_steps or math.inf,
            self.plateau.halvings,
        )

    def _finished(self) -> bool:
        loop = self.settings.loop
        return (loop.steps is not None and self.steps_done >= loop.steps) or (
            loop.minutes is not None and self.elapsed_s >= 60 * loop.minutes
        )

    def _end(self) -> str:
        loop = self.settings.loop
        steps = None if loop.steps is None else f"{loop.steps} steps"
        minutes = None if loop.minutes is None else f"{loop.minutes:g} minutes"
        return " or ".join(end for end in (steps, minutes) if end)

    def _log(self, progress: Progress) -> None:
        interval, loop = self.interval, self.settings.loop
        seconds = time.monotonic() - interval.began_s
        step_s = seconds / interval.steps
        text, image = interval.text / interval.steps, interval.image / interval.steps
        values = {
            "loss": TEXT_WEIGHT * text + IMAGE_WEIGHT * image,
            "text": text,
            "image": image,
            "rate": self.rate(),
            "gradient": interval.gradient / interval.steps,
            "tokens_per_s": loop.batch_size * self.settings.layout.length / step_s,
            "epoch": float(self.loader.position.epoch),
        }
        self.plateau.observe(values["loss"])
        remaining_s = self._remaining_s(step_s)
        progress.write(self.steps_done, values, training_line(self.steps_done, values, remaining_s))
        self.interval = Interval()

    def _remaining_s(self, step_s: float) -> float:
        """Time to the end; sets the cosine schedule's end where minutes decide it."""
        loop = self.settings.loop
        by_steps = math.inf if loop.steps is None else (loop.steps - self.steps_done) * step_s
        if loop.minutes is None:
            return by_steps
        by_time = max(0.0, 60 * loop.minutes - self.elapsed_s)
        self.total_steps = self.steps_done + round(min(by_steps, by_time) / step_s)
        return min(by_steps, by_time)

    def _evaluate(self, progress: Progress) -> None:
        """Measure the averaged weights on held-out pairs; keep them where they are the best."""
        if self.held_out is None:
            return
        self.model.eval()
        with self.average.applied():
            losses = measure_losses(self.model, self.held_out)
        self.model.train()
        better = losses.image < self.best_loss
        if better:
            self.best_loss = losses.image
            state = {"step": self.steps_done, "held_out_image": losses.image}
            checkpoint.save(self.folder.best, {"ema": self.average.state_dict()}, state)
        values = {"held_out_text": losses.text, "held_out_image": losses.image}
        line = (
            f"step {self.steps_done}  held-out  text {losses.text:.3f}  image {losses.image:.4f}"
            f"{'  best so far, kept' if better else ''}"
        )
        progress.write(self.steps_done, values, line)
        self.interval.began_s = (
            time.monotonic() if not self.interval.steps else self.interval.began_s
        )

    def save(self) -> None:
        """Write a checkpoint of everything that decides the run's further course."""
        random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        tensors = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.average.state_dict(),
            "random": random,
        }
        state = {
            "step": self.steps_done,
            "total_steps": self.total_steps,
            "elapsed_s": self.elapsed_s,
            "best_loss": self.best_loss if math.isfinite(self.best_loss) else None,
            "position": dataclasses.asdict(self.loader.position),
            "plateau": dataclasses.asdict(self.plateau),
            "interval": dataclasses.asdict(self.interval) | {"began_s": None},
        }
        path = checkpoint.step_path(self.folder.checkpoints, self.steps_done)
        self.saved_step = self.steps_done
        checkpoint.save(path, tensors, state)
        checkpoint.keep_last(self.folder.checkpoints, self.settings.loop.keep_checkpoints)

    def restore(self) -> None:
        """Go on from the newest whole checkpoint, where there is one."""
        found = checkpoint.load_newest(self.folder.checkpoints)
        if found is None:
            return
        state = found.state
        self.model.load_state_dict(found.tensors["model"])
        self.optimizer.load_state_dict(found.tensors["optimizer"])
        self.average.load_state_dict(found.tensors["ema"])
        torch.set_rng_state(found.tensors["random"]["cpu"])
        if self.device.type == "cuda" and "cuda" in found.tensors["random"]:
            torch.cuda.set_rng_state(found.tensors["random"]["cuda"], self.device)
        self.steps_done = self.saved_step = int(state["step"])
        self.total_steps = self.settings.loop.steps or int(state["total_steps"])
        self.elapsed_s = float(state["elapsed_s"])
        self.best_loss = math.inf if state["best_loss"] is None else float(state["best_loss"])
        self.loader.restore(Position(**state["position"]))
        self.plateau = Plateau(**state["plateau"])
        self.interval = Interval(**(state["interval"] | {"began_s": time.monotonic()}))

    def stop_at(self, number: int, frame: FrameType | None) -> None:
        """A signal handler: finish the step, save, stop. A second signal acts at once."""
        self.stop_signal = number
        signal.signal(number, signal.SIG_DFL)
        logger.info("%s: saving after this step", signal.Signals(number).name)


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        corpus = TokenCorpus(args.data)
        run = make_run(args, corpus)
        folder = RunFolder(args.out)
        folder.begin(run, corpus)
        trainer = Trainer(run, corpus, folder, default_device())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, trainer.stop_at)
        trainer.run()
        if trainer.stop_signal is not None:
            return 128 + trainer.stop_signal
        model, _ = folder.load_model(trainer.device)
        print(captions_line(model, corpus, run.loop.eval_pairs, run.loop.seed), flush=True)
    except (ValueError, FileNotFoundError) as err:
        print(f"train: {err}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
