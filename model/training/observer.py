"""What a run looks at while it trains: its held-out loss, and pictures that it draws."""

from typing import TYPE_CHECKING

from model.config import Run
from model.evaluate import measure_losses
from model.loading.batch import Batch
from model.run_folder import RunFolder
from model.training.course import Course
from model.training.distribution import Distribution
from model.training.progress import held_out_line
from model.training.saving import Saver
from model.training.update import Update

if TYPE_CHECKING:
    from model.training.sheets import SampleSheets


class Observer:
    """Looks at the averaged weights.

    Every rank measures the same held-out pairs: none waits for another, and a sharded network needs
    all of them in any case.
    """

    def __init__(
        self,
        run: Run,
        folder: RunFolder,
        held_out: Batch | None,
        saver: Saver,
        distribution: Distribution,
    ) -> None:
        self.held_out, self.folder = held_out, folder
        self.saver, self.distribution = saver, distribution
        self._sheets: SampleSheets | None = None
        if run.loop.sample_every and held_out is not None:
            from model.training import sheets  # what decodes pictures, only where it is needed

            self._sheets = sheets.SampleSheets(run, folder, held_out, distribution)

    def measure(self, update: Update, course: Course) -> tuple[dict[str, float], str]:
        """Held-out losses and what to say of them; the best weights so far are kept. Nothing
        where there are no held-out pairs."""
        if self.held_out is None:
            return {}, ""
        update.model.eval()
        with update.average.applied(), update.precision.compute():
            losses = measure_losses(update.model, self.held_out)
        update.model.train()
        text, image = losses.text, self.distribution.from_first(losses.image)
        better = course.best_loss is None or image < course.best_loss
        if better:
            course.best_loss = image
            better = self._keep(update, course.steps_done, image)
        values = {"held_out_text": text, "held_out_image": image}
        return values, held_out_line(course.steps_done, text, image, better)

    def _keep(self, update: Update, step: int, image: float) -> bool:
        state = {"step": step, "held_out_image": image}
        return self.saver.save(self.folder.best, {"ema": update.average.state_dict()}, state)

    def draw(self, update: Update, step: int) -> None:
        """Write a sheet of samples, where the run draws any."""
        if self._sheets is not None:
            self._sheets.draw(step, update.average.state_dict())
