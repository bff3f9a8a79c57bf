"""Work for an engine, some of whose items raise, hang, or kill their process."""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines import progress
from pipelines.commit import Output, Written, commit_file
from pipelines.publishing import Generation, PublishFiles
from pipelines.steps import Job, Step

SECRET = b"\xff\xd8 a stranger's picture"


@dataclass(frozen=True)
class Words:
    """Writes a file per word; a word's end says what goes wrong with it until `mended` is there."""

    folder: str

    def output(self, item: str) -> Output:
        return Output(self.folder, item)

    def rows(self, item: str) -> int:
        return 1

    def __call__(self, item: str) -> None:
        if not Path(self.folder, "mended").exists():
            go_wrong(item.rpartition(" ")[2])
        commit_file(self.output(item), lambda sink: None, Written(1))
        progress.advance(1)
        progress.flush()
        if item.endswith(" leaves"):
            os.kill(os.getpid(), signal.SIGKILL)  # before it can tell that its share is done


def go_wrong(how: str) -> None:
    if how == "raises":
        raise ValueError(f"cannot read {SECRET!r}" + "!" * 5000)
    if how == "full":
        raise OSError(28, "No space left on device", "a file")
    if how == "hangs":
        time.sleep(3600)
    if how == "balloons":
        os.kill(os.getpid(), signal.SIGKILL)  # as the kernel ends what takes all memory


def make_job(directory: Path, words: Sequence[str]) -> Job:
    work = Words(str(directory / "words"))
    made = Generation("words", work.folder, {}, "", {})
    outputs = tuple(map(work.output, words))
    step = Step("Write Words", work, tuple(words))
    return Job((step,), PublishFiles(made, outputs, {"": len(words)}))
