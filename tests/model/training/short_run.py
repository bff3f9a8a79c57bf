"""A short training run that tests stop, kill, resume and share among ranks."""

import dataclasses
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from model import checkpoint
from model.config import Execution, Loop, Network, Optim, Run
from model.loading.corpus import TokenCorpus
from model.run_folder import RunFolder
from model.training.distribution import Distribution, World
from model.training.trainer import Trainer

NETWORK = Network(num_layers=2, width=64, dropout=0.2)
OPTIM = Optim(
    3e-3,
    warmup_steps=4,
    schedule="plateau",
    ema_decay=0.9,
    ema_every=1,
    caption_dropout=0.2,
)
LOOP = Loop(
    steps=14, batch_size=8, micro_batch_size=4, log_every=3, checkpoint_every=5, eval_every=4
)
ALONE = Distribution(World(), torch.device("cpu"))
TIMES = ("tokens_per_s", "data_share")

Prepare = Callable[[Trainer], None]


def make_trainer(
    tokens: Path,
    out: Path,
    loop: Loop = LOOP,
    distribution: Distribution = ALONE,
    **execution: Any,
) -> Trainer:
    """A trainer that has restored what `out` holds."""
    corpus = TokenCorpus(str(tokens))
    run = Run(NETWORK, corpus.layout, OPTIM, loop, Execution(**execution))
    folder = RunFolder(out)
    if distribution.is_first:
        folder.begin(run, corpus)
    distribution.meet()
    trainer = Trainer(run, corpus, folder, distribution)
    trainer.restore()
    return trainer


def train(
    tokens: Path, out: Path, stop_after: int | None = None, loop: Loop = LOOP, **execution: Any
) -> Trainer:
    """A run, or its part up to the step after which it is told to stop."""
    trainer = make_trainer(tokens, out, loop, **execution)
    if stop_after is not None:
        after_step(trainer, stop_after, lambda: trainer.stop_at(signal.SIGTERM, None))
    handler = signal.getsignal(signal.SIGTERM)
    trainer.run()
    signal.signal(signal.SIGTERM, handler)
    return trainer


def after_step(trainer: Trainer, step: int, action: Callable[[], object]) -> None:
    """Let `action` happen right behind a step."""
    whole_step = trainer.step

    def hooked() -> None:
        whole_step()
        if trainer.course.steps_done == step:
            action()

    trainer.step = hooked  # type: ignore[method-assign]


def kill_oneself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[], object]) -> int:
    """How a forked process ends that does `work`: its exit code, or minus the signal's number."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def outcome(out: Path) -> dict[str, Any]:
    """All that a finished run leaves, but for times."""
    last = checkpoint.load_newest(out / "checkpoints")
    best = checkpoint.load(out / "best")
    assert last is not None
    state = {name: value for name, value in last.state.items() if name != "elapsed_s"}
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    for line in metrics:
        for name in TIMES:
            line.pop(name, None)
    tables = {part: last.read_table(part) for part in last.tables}
    tensors = {
        f"{part}.{name}": tensor.flatten().tolist()
        for part, table in (tables | {"best": best.read_table("ema")}).items()
        for name, tensor in table.items()
    }
    return {"state": state, "best": best.state, "metrics": metrics, "tensors": tensors}


def of_loop(**changes: Any) -> Loop:
    return dataclasses.replace(LOOP, **changes)
