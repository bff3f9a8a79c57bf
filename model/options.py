"""The command line of model/train.py: a preset, and what a flag says instead."""

import argparse
from dataclasses import replace
from typing import Any

from model.config import PAPER_RANKS, PRECISIONS, PRESETS, Execution, Loop, Run
from model.loading.corpora import Corpora, Data, open_corpora, parse_mix
from model.loading.ranges import Reading
from model.loading.recaption import Recaptioner


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="model/train.py",
        description="Train the transformer on a tokens folder; the same command again resumes.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--data", action="append", required=True, help="tokens folder; several are mixed")
    add("--mix", help="weights of several --data, as 0.7,0.3; default: by their numbers of pairs")
    add("--out", required=True, help="folder of the run; made, or gone on with")
    add("--preset", choices=tuple(PRESETS), default="tiny", help="size of the network")
    add("--steps", type=int, help="updates; default: the preset's, or none with --minutes")
    add("--minutes", type=float, help="training time over all starts, minutes")
    add("--batch_size", type=int, help="pairs per update, over all ranks; default: the preset's")
    add("--micro_batch_size", type=int, help="pairs a rank computes at once; default: the preset's")
    add("--learning_rate", type=float, help="peak; default: the preset's")
    add("--schedule", choices=("cosine", "plateau"), help="default: the preset's")
    add("--max_gradient_norm", type=float, help="gradients are clipped at it; default: 4")
    add("--adam_dtype", choices=("fp32", "bf16"), help="of the moments; default: fp32")
    add("--attention", choices=("paper", "full"), help="masks by layer, or dense; default: paper")
    add("--head", choices=("split", "joint"), help="of the two vocabularies; default: split")
    add("--dropout", type=float, help="in [0, 1); default: the preset's")
    add("--caption_dropout", type=float, help="share of captions left empty, for guidance")
    add("--bpe_dropout", type=float, help="tokenise captions anew with it; default: as stored")
    add("--cache_dir", help="local folder that keeps parts of remote shards; default: none")
    add("--cache_gib", type=float, default=Reading().cache_gib, help="most it holds, GiB")
    add("--seed", type=int, default=0, help="of weights, order and dropout")
    add("--log_every", type=int, default=20, help="steps per line")
    add("--checkpoint_every", type=int, default=200, help="steps per checkpoint")
    add("--keep_checkpoints", type=int, help="the newest few stay; default: 2")
    add("--keep_every", type=int, help="checkpoints at multiples of it stay too, steps")
    add("--resume", type=int, metavar="STEP", help="go on from this checkpoint, not the newest")
    add("--sample_every", type=int, help="steps per sheet of samples; default: none is drawn")
    add("--max_skipped_steps", type=int, help="steps left out where a loss is not finite")
    add("--precision", choices=PRECISIONS, help="default: bf16 on CUDA, fp32 on a CPU")
    add("--shard", choices=("ddp", "fsdp", "hybrid"), help="over several ranks; default: ddp")
    add("--powersgd_rank", help="compress ddp's gradients to this rank, or to the paper's: paper")
    add("--compile", action=argparse.BooleanOptionalAction, help="default: on CUDA alone")
    add("--checkpoint_blocks", action="store_true", help="recompute activations to save memory")
    add("--eval_every", type=int, default=200, help="steps per held-out measurement")
    add("--eval_pairs", type=int, default=512, help="most pairs per split in a measurement")
    return parser


def open_data(args: argparse.Namespace) -> Corpora:
    """The corpora of `--data`.

    Raises:
        FileNotFoundError, ValueError: one is none, or they cannot be mixed.
    """
    weights = None if args.mix is None else parse_mix(args.mix)
    reading = Reading(cache_dir=args.cache_dir, cache_gib=args.cache_gib)
    corpora = open_corpora(args.data, weights, reading)
    if args.bpe_dropout is not None:
        for corpus in corpora.members:  # its tokenizer is looked at before a run is begun
            Recaptioner.of(corpus, args.bpe_dropout, args.seed)
    return corpora


def make_run(args: argparse.Namespace, corpus: Data, device_type: str = "cpu") -> Run:
    """The preset, with what the command line says instead.

    Args:
        device_type: decides the precision and whether blocks are compiled, where no flag does.

    Raises:
        ValueError: a value that no run can have.
    """
    preset = PRESETS[args.preset]
    batch_size = preset.batch_size if args.batch_size is None else args.batch_size
    steps = args.steps
    if steps is None and args.minutes is None:
        steps = preset.steps
    return Run(
        network=replace(preset.network, **_given(args, "attention", "head", "dropout")),
        layout=corpus.layout,
        optim=replace(
            preset.optim,
            **_given(args, "learning_rate", "schedule", "max_gradient_norm", "adam_dtype"),
            **_given(args, "caption_dropout"),
        ),
        loop=Loop(
            steps=steps,
            batch_size=batch_size,
            micro_batch_size=min(preset.micro_batch_size, batch_size)
            if args.micro_batch_size is None
            else args.micro_batch_size,
            **_given(args, "minutes", "seed", "bpe_dropout", "log_every", "checkpoint_every"),
            **_given(args, "eval_every", "eval_pairs", "keep_checkpoints", "keep_every"),
            **_given(args, "max_skipped_steps", "sample_every"),
        ),
        execution=replace(
            Execution(
                precision="bf16" if device_type == "cuda" else "fp32",
                compile=device_type == "cuda",
            ),
            **_given(args, "precision", "shard", "compile", "checkpoint_blocks"),
            powersgd_rank=_powersgd_rank(args.powersgd_rank, preset.network.width),
        ),
    )


def _powersgd_rank(asked: str | None, width: int) -> int:
    """The rank that `--powersgd_rank` asks for; 0 where it is not given."""
    if asked == "paper":
        if width not in PAPER_RANKS:
            raise ValueError(
                f"the paper has a PowerSGD rank for widths {', '.join(map(str, PAPER_RANKS))}, "
                f"not for {width}; give a number"
            )
        return PAPER_RANKS[width]
    if asked is not None and not asked.isdigit():
        raise ValueError(f"powersgd_rank is {asked!r}; it must be a whole number, or paper")
    return int(asked or 0)


def _given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The flags among `names` that were given a value; `Any`, since each has its own type."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}
