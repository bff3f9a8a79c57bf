"""The loop of one run: steps, log lines, held-out measurements, checkpoints.

`run` is the loop, `step` one update. What a step computes is in `update.py`, how ranks share it in
`sharding.py`, how a checkpoint is written meanwhile in `saving.py`. Whatever makes the ranks take
another branch (time is up, a signal, a loss that is not finite) is agreed on in the one sum of a
step.
"""

import logging
import math
import signal
import time
from collections.abc import Mapping
from types import FrameType

from model import checkpoint
from model.config import Run
from model.data import TokenLoader
from model.loading.corpora import Data
from model.network.flops import DENSE_BF16_FLOPS, training_flops
from model.run_folder import RunFolder
from model.training.course import Course
from model.training.distribution import Distribution
from model.training.faults import FaultGuard
from model.training.interval import Interval
from model.training.observer import Observer
from model.training.progress import Progress, training_line
from model.training.restoring import find_checkpoint
from model.training.saving import Saver
from model.training.story import record_start
from model.training.update import make_update

logger = logging.getLogger(__name__)


class Trainer:
    """One run, or this rank's share of it."""

    def __init__(
        self, run: Run, corpus: Data, folder: RunFolder, distribution: Distribution
    ) -> None:
        self.settings, self.folder, self.distribution = run, folder, distribution
        self.update = make_update(run, distribution)
        loop, world = run.loop, distribution.world
        self.loader = TokenLoader(
            corpus,
            loop.batch_size,
            loop.seed,
            world.rank,
            world.size,
            bpe_dropout=loop.bpe_dropout,
        )
        held_out = corpus.read_split("val", loop.eval_pairs, loop.seed)
        self.saver = Saver(folder.checkpoints, loop, distribution)
        self.observer = Observer(run, folder, held_out, self.saver, distribution)
        self.guard = FaultGuard(folder.faults, loop.max_skipped_steps, world.rank)
        self.course = Course(total_steps=loop.steps or 0)
        self.progress: Progress | None = None
        self.saved_step: int | None = None
        self.stop_signal: int | None = None
        self._told_to_stop = False

    def run(self) -> None:
        """Train to the end, or until a signal asks to stop.

        Raises:
            FloatingPointError: a loss or gradient is not finite; the update was not made.
            OSError: checkpoints cannot be written.
        """
        if self.distribution.is_first:
            folder, steps_done = self.folder, self.course.steps_done
            self.progress = Progress(folder.metrics, folder.tensorboard, steps_done)
            record_start(folder.starts, steps_done, self.distribution)
            logger.info(
                "training begins at step %d of %s; two pairs of a batch share a row group with "
                "chance %.3f",
                steps_done,
                self._end(),
                self.loader.shared_group_chance(),
            )
        self.course.interval.restart()
        try:
            while not self._finished() and not self._stopping():
                self._advance()
            self._save_last()
        finally:
            self.loader.close()
            if self.progress is not None:
                self.progress.close()

    def _advance(self) -> None:
        """A step, and whatever is due after it."""
        loop = self.settings.loop
        began_s = time.monotonic()
        self.step()
        self.course.elapsed_s += time.monotonic() - began_s
        if self.course.steps_done % loop.log_every == 0:
            self._log()
        began_s = time.monotonic()
        if self.course.steps_done % loop.eval_every == 0 or self._finished():
            measured = self.observer.measure(self.update, self.course)
            self._write(*measured)
        if loop.sample_every and self.course.steps_done % loop.sample_every == 0:
            self.observer.draw(self.update, self.course.steps_done)
        self.course.elapsed_s += time.monotonic() - began_s
        self.course.interval.pause_s += time.monotonic() - began_s
        if self.course.steps_done % loop.checkpoint_every == 0:
            self.save()

    def step(self) -> None:
        """One update from one global batch, or a counted one left out.

        Raises:
            FloatingPointError: a loss or gradient is not finite; nothing has been updated.
        """
        course, position = self.course, self.loader.position
        began_s = time.monotonic()
        batch = self.loader.next_batch()
        course.interval.data_s += time.monotonic() - began_s
        found = self.update.measure(batch, course.steps_done, self._signals())
        self._heed(*found.signals)
        passes = self.guard.passes(found, course, position, batch)
        if passes:
            self.update.apply(course.updates, course.rate(self.settings.optim), found.gradient)
        else:
            self.update.leave_out()
        course.interval.add(found, passes)
        course.steps_done += 1
        self.update.average.update(course.steps_done)

    def _signals(self) -> tuple[float, ...]:
        """What this rank knows and the others must hear of."""
        time_is_up = self.distribution.is_first and self._time_is_up()
        return (float(self.stop_signal is not None), float(time_is_up), *self.saver.signals)

    def _heed(self, stops: float, time_is_up: float, still_writing: float, failed: float) -> None:
        self._told_to_stop |= bool(stops or time_is_up)
        self.saver.heed(still_writing, failed)

    def _finished(self) -> bool:
        """All steps are done, or time is up: one of several ranks says so in a step's sum."""
        steps = self.settings.loop.steps
        alone = self.distribution.world.size == 1
        done = steps is not None and self.course.steps_done >= steps
        return done or (alone and self._time_is_up())

    def _time_is_up(self) -> bool:
        minutes = self.settings.loop.minutes
        return minutes is not None and self.course.elapsed_s >= 60 * minutes

    def _stopping(self) -> bool:
        alone = self.distribution.world.size == 1
        return self._told_to_stop or (alone and self.stop_signal is not None)

    def _end(self) -> str:
        loop = self.settings.loop
        steps = None if loop.steps is None else f"{loop.steps} steps"
        minutes = None if loop.minutes is None else f"{loop.minutes:g} minutes"
        return " or ".join(end for end in (steps, minutes) if end)

    def _log(self) -> None:
        course, interval = self.course, self.course.interval
        if not interval.updates:
            return
        step_s = self.distribution.from_first(interval.step_s)
        tokens = self.settings.loop.batch_size * self.settings.layout.length
        values = interval.means() | {
            "rate": course.rate(self.settings.optim),
            "tokens_per_s": tokens / step_s,
            "data_share": interval.data_s / interval.training_s,
            "epoch": float(self.loader.position.epoch),
            "left_out": float(course.skipped + course.overflows),
        }
        if self.distribution.device.type == "cuda":
            values["mfu"] = self._flops_per_step / step_s / DENSE_BF16_FLOPS
        course.plateau.observe(values["loss"])
        remaining_s = self._remaining_s(step_s)
        self._write(values, training_line(course.steps_done, values, remaining_s))
        course.interval = Interval()

    @property
    def _flops_per_step(self) -> float:
        """Of one rank."""
        settings = self.settings
        sequences = settings.loop.batch_size / self.distribution.world.size
        return sequences * training_flops(settings.network, settings.layout)

    def _remaining_s(self, step_s: float) -> float:
        """Time to the end; sets the cosine schedule's end where minutes decide it."""
        loop, course = self.settings.loop, self.course
        by_steps = math.inf if loop.steps is None else (loop.steps - course.steps_done) * step_s
        if loop.minutes is None:
            return by_steps
        elapsed_s = self.distribution.from_first(course.elapsed_s)
        by_time = max(0.0, 60 * loop.minutes - elapsed_s)
        course.total_steps = course.steps_done + round(min(by_steps, by_time) / step_s)
        return min(by_steps, by_time)

    def _write(self, values: Mapping[str, float], line: str) -> None:
        if self.progress is not None and values:
            self.progress.write(self.course.steps_done, values, line)

    def save(self) -> None:
        """Begin a checkpoint of everything that decides the run's further course."""
        self.saved_step = self.course.steps_done
        path = checkpoint.step_path(self.folder.checkpoints, self.saved_step)
        state = self.course.to_document(self.loader.position)
        self.saver.begin(path, self.update.tables(), state)

    def _save_last(self) -> None:
        """Leave a whole checkpoint of the last step."""
        if self.saved_step != self.course.steps_done:
            self.save()
        self.saver.finish()
        if self.saver.failures:
            raise OSError("the last checkpoint could not be written; the older ones stay")

    def restore(self, step: int | None = None) -> None:
        """Go on from the newest whole checkpoint, where there is one, or from that of `step`.

        Raises:
            ValueError: the checkpoint of `step` is not there, or one does not fit this run.
        """
        found = find_checkpoint(self.folder.checkpoints, self.distribution, step)
        if found is None:
            return
        try:
            self.course, position = Course.from_document(found.state)
        except ValueError as err:
            raise ValueError(f"{found.path} does not fit this run: {err}") from err
        self.update.restore(found)
        self.course.total_steps = self.settings.loop.steps or self.course.total_steps
        self.saved_step = self.course.steps_done
        self.loader.restore(position)

    def stop_at(self, number: int, frame: FrameType | None) -> None:
        """A signal handler: finish the step, save, stop. A second signal acts at once."""
        self.stop_signal = number
        signal.signal(number, signal.SIG_DFL)
        logger.info("%s: saving after this step", signal.Signals(number).name)
