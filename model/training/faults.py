"""What a run does about a loss or a gradient that is not finite.

The update is never made: neither weights nor moments nor their average take anything in, so no
checkpoint holds it. Each rank writes down which pairs it had, so that the batch can be looked at;
then the step is left out and counted, or, beyond the number that the run allows, the run stops.
"""

import dataclasses
import json
import logging
import math
from pathlib import Path

from model.data import Position
from model.loading.batch import Batch
from model.training.course import Course
from model.training.update import Measured

logger = logging.getLogger(__name__)


class FaultGuard:
    """Decides over each step; all ranks decide alike, for they hold the same sums."""

    def __init__(self, folder: Path, max_skipped: int, rank: int) -> None:
        self.folder, self.max_skipped, self.rank = folder, max_skipped, rank

    def passes(self, found: Measured, course: Course, position: Position, batch: Batch) -> bool:
        """Whether the next update may be made; one that may not is counted in `course`.

        Args:
            position: of the loader before `batch`.

        Raises:
            FloatingPointError: it may not, and no more may be left out.
        """
        if math.isfinite(found.loss) and (math.isfinite(found.gradient) or not found.usable):
            course.overflows += not found.usable
            return found.usable
        step = course.steps_done + 1
        record = self._write_down(found, step, position, batch)
        what = "loss" if not math.isfinite(found.loss) else "gradient"
        if course.skipped >= self.max_skipped:
            raise FloatingPointError(
                f"step {step}: the {what} is not finite, and the update was not made; its pairs "
                f"are in {record}; go on from the last checkpoint with --max_skipped_steps "
                f"{course.skipped + 1}, or begin anew with a lower --learning_rate"
            )
        course.skipped += 1
        logger.warning(
            "step %d: the %s is not finite; left out (%d of %d), its pairs are in %s",
            *(step, what, course.skipped, self.max_skipped, record),
        )
        return False

    def _write_down(self, found: Measured, step: int, position: Position, batch: Batch) -> Path:
        """Where this rank's pairs of the step now stand, with what finds the batch again."""
        record = {
            "step": step,
            "rank": self.rank,
            "loss": str(found.loss),
            "gradient": str(found.gradient),
            "position": dataclasses.asdict(position),
            "pair_ids": [bytes(pair_id).hex() for pair_id in batch.pair_ids],
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{step:08d}-rank-{self.rank:05d}.json"
        path.write_text(json.dumps(record, indent=1) + "\n")
        return path
