"""The command line of model/train.py: a preset, and what a flag says instead."""

import argparse
from dataclasses import replace
from typing import Any

from model.config import PRESETS, Loop, Run
from model.corpus import TokenCorpus


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="model/train.py",
        description="Train the transformer on a tokens folder; the same command again resumes.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--data", required=True, help="tokens folder of a build (DIR/tokens)")
    add("--out", required=True, help="folder of the run; made, or gone on with")
    add("--preset", choices=tuple(PRESETS), default="tiny", help="size of the network")
    add("--steps", type=int, help="updates; default: the preset's, or none with --minutes")
    add("--minutes", type=float, help="training time over all starts, minutes")
    add("--batch_size", type=int, help="pairs per update; default: the preset's")
    add("--learning_rate", type=float, help="peak; default: the preset's")
    add("--schedule", choices=("cosine", "plateau"), help="default: the preset's")
    add("--dropout", type=float, help="in [0, 1); default: the preset's")
    add("--seed", type=int, default=0, help="of weights, order and dropout")
    add("--log_every", type=int, default=20, help="steps per line")
    add("--checkpoint_every", type=int, default=200, help="steps per checkpoint")
    add("--eval_every", type=int, default=200, help="steps per held-out measurement")
    add("--eval_pairs", type=int, default=512, help="most pairs per split in a measurement")
    return parser


def make_run(args: argparse.Namespace, corpus: TokenCorpus) -> Run:
    """The preset, with what the command line says instead.

    Raises:
        ValueError: a value that no run can have.
    """
    preset = PRESETS[args.preset]
    batch_size = preset.batch_size if args.batch_size is None else args.batch_size
    steps = args.steps
    if steps is None and args.minutes is None:
        steps = preset.steps
    return Run(
        network=replace(preset.network, **_given(args, "dropout")),
        layout=corpus.layout,
        optim=replace(preset.optim, **_given(args, "learning_rate", "schedule")),
        loop=Loop(
            steps=steps,
            batch_size=batch_size,
            micro_batch_size=min(preset.micro_batch_size, batch_size),
            **_given(args, "minutes", "seed", "log_every", "checkpoint_every"),
            **_given(args, "eval_every", "eval_pairs"),
        ),
    )


def _given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The flags among `names` that were given a value; `Any`, since each has its own type."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}
