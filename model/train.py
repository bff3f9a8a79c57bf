"""Train the transformer on a tokens folder.

    python model/train.py --data DIR/tokens --out RUN --preset tiny --minutes 45
    torchrun --nproc_per_node 8 model/train.py --data DIR/tokens --out RUN --shard fsdp

prints a line per interval, keeps the averaged weights with the lowest held-out loss in RUN/best,
and ends with one line that says whether the model reads its captions (model/evaluate.py). The
same command again goes on from the last checkpoint, bit for bit, also on another number of ranks;
SIGINT and SIGTERM finish the step, save and exit with 130 and 143, a second one ends it at once.

The tiny preset trains about 18 pairs a second on two AVX2 cores (64 + 256 tokens each).
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence

from model.evaluate import captions_line
from model.options import build_parser, make_run, open_data
from model.run_folder import RunFolder
from model.training.distribution import Distribution, World, choose_device
from model.training.trainer import Trainer


def train(args: argparse.Namespace, distribution: Distribution) -> int:
    """One run to its end, or to a signal; the exit status."""
    corpus = open_data(args)
    run = make_run(args, corpus, distribution.device.type)
    folder = RunFolder(args.out)
    if distribution.is_first:
        folder.begin(run, corpus)
    distribution.meet()
    trainer = Trainer(run, corpus, folder, distribution)
    trainer.restore(args.resume)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, trainer.stop_at)
    trainer.run()
    if trainer.stop_signal is not None:
        return 128 + trainer.stop_signal
    if distribution.is_first:
        model, _ = folder.load_model(distribution.device)
        print(captions_line(model, corpus, run.loop.eval_pairs, run.loop.seed), flush=True)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        world = World.of(os.environ)
        distribution = Distribution(world, choose_device(world))
        status = train(args, distribution)
        distribution.close()
    except (ValueError, FileNotFoundError) as err:
        print(f"train: {err}", file=sys.stderr)
        return 2
    except (FloatingPointError, OSError) as err:
        print(f"train: {err}", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())
