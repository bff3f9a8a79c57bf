"""Train the image tokenizer on the pictures that a build kept (the paper's first stage).

    python -m pipelines.build --input pairs.parquet --output DIR --until select
    python model/train_dvae.py --data DIR --out dvae.safetensors
    python -m pipelines.build --input pairs.parquet --output DIR --image_tokenizer dvae.safetensors

The flags' defaults are the paper's run: 3,000,000 updates of 512 pictures. `--preset small` is the
run that made the bundled weights. A GPU is used when there is one. Beside `--out` the run keeps
`<out>.checkpoint`, from which the same command goes on to the same bits, and `<out>.metrics.jsonl`.
A run that SIGINT or SIGTERM stops saves its state and writes its weights as they are.
"""

from __future__ import annotations

import argparse
import hashlib
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import FrameType
from typing import Any, Self

import cv2
import torch

from model.dvae.checkpoint import write_atomic
from model.dvae.config import PRESETS, DvaeTraining, field_help
from model.dvae.pictures import Corpus, held_out_crops, load_corpus
from model.dvae.progress import DvaeProgress
from model.dvae.run import DvaeRun
from model.dvae.score import picture_png, reconstruct, score, score_line
from tokens.dvae import Dvae
from tokens.dvae_file import dvae_bytes, read_dvae

PICTURES_SHOWN = 16


def build_parser() -> argparse.ArgumentParser:
    """The door's flags: the files, then one for each field of `DvaeTraining`."""
    parser = argparse.ArgumentParser(
        prog="train_dvae.py",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", required=True, metavar="DIR", help="output folder of a build")
    parser.add_argument("--out", required=True, type=Path, help="the weights: a safetensors file")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="held-out reconstructions")
    parser.add_argument("--init", metavar="FILE", help="weights to start from, of the same sizes")
    parser.add_argument("--licence", default="", help="of the pictures, written into the file")
    parser.add_argument("--preset", default="paper", choices=sorted(PRESETS), help="(paper)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    parser.add_argument("--log_every_s", type=float, default=10.0, help="progress line (10)")
    parser.add_argument("--save_every_s", type=float, default=300.0, help="checkpoint (300)")
    parser.add_argument(
        "--max_decoded_gib", type=float, default=8.0, help="RAM for decoded pictures (8)"
    )
    for name, kind, default, text in field_help(DvaeTraining):
        shown = text.replace("%", "%%")
        parser.add_argument(
            f"--{name}", type=kind, default=argparse.SUPPRESS, help=f"{shown} ({default})"
        )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the door; bad input is one line on stderr and exit code 2."""
    arguments = build_parser().parse_args(argv)
    try:
        return train(arguments)
    except (ValueError, OSError) as err:
        print(f"train_dvae.py: {err}", file=sys.stderr)
        return 2


def train(arguments: argparse.Namespace) -> int:
    """Train, write the weights, say how good they are; 130 or 143 when a signal ended it early."""
    config = read_config(arguments)
    device = _device(arguments.device)
    initial = None if arguments.init is None else _initial(arguments.init)
    corpus = load_corpus(arguments.data, config.side_px, int(arguments.max_decoded_gib * 2**30))
    print(
        f"{len(corpus.train)} pictures to train on, {len(corpus.held_out)} held out, "
        f"{corpus.too_small} below {config.side_px} px left out; on {device}"
    )
    run = DvaeRun(config, corpus.train, device, initial)
    stopped = _run_updates(run, arguments, _identity(config, corpus, arguments.init))
    if stopped:
        _write_weights(run, corpus, arguments)
        print(f"stopped at step {run.step}: the same command goes on from there")
        return 128 + stopped
    _finish(run, corpus, arguments)
    return 0


def read_config(arguments: argparse.Namespace) -> DvaeTraining:
    """The preset with the flags that were given on top."""
    given = {
        field.name: getattr(arguments, field.name)
        for field in fields(DvaeTraining)
        if hasattr(arguments, field.name)
    }
    return replace(PRESETS[arguments.preset], **given)


def _run_updates(run: DvaeRun, arguments: argparse.Namespace, identity: dict[str, Any]) -> int:
    """Make all updates; the number of the signal that stopped them, else 0."""
    out: Path = arguments.out
    checkpoint = out.with_name(out.name + ".checkpoint")
    run.resume(checkpoint, identity)
    metrics = out.with_name(out.name + ".metrics.jsonl")
    progress = DvaeProgress(
        run.config, metrics, run.step, arguments.log_every_s, lambda line: print(line, flush=True)
    )
    saved_s = time.monotonic()
    with SignalWatch() as watch:
        for result in run.steps(run.config.steps):
            progress.add(run.step, result)
            due = time.monotonic() - saved_s >= arguments.save_every_s
            if due or watch.number or run.step == run.config.steps:
                run.save(checkpoint, identity)
                saved_s = time.monotonic()
            if watch.number:
                return watch.number
    return 0


class SignalWatch:
    """Remembers SIGINT and SIGTERM, so that an update is finished and saved before the run ends."""

    number = 0
    """The last signal seen; 0 for none."""

    def __enter__(self) -> Self:
        self._before = {n: signal.signal(n, self._note) for n in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _write_weights(run: DvaeRun, corpus: Corpus, arguments: argparse.Namespace) -> None:
    """Write the averaged weights of the updates done so far."""
    details: dict[str, Any] = {
        "training": asdict(run.config),
        "updates": run.step,
        "pictures": len(corpus.train),
    }
    if arguments.licence:
        details["licence"] = arguments.licence
    data = dvae_bytes(run.averaged(), details)
    write_atomic(arguments.out, data)
    print(f"{arguments.out}: {len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


def _finish(run: DvaeRun, corpus: Corpus, arguments: argparse.Namespace) -> None:
    """Write the weights, then measure the file as the encode stage will read it."""
    config = run.config
    _write_weights(run, corpus, arguments)
    model = read_dvae(str(arguments.out)).model
    model.on(run.device)
    originals = held_out_crops(corpus.held_out, config.side_px, limit=1024)
    rebuilt, codes = reconstruct(model, originals)
    if arguments.picture is not None:
        shown = held_out_crops(corpus.held_out, config.side_px, limit=PICTURES_SHOWN)
        write_atomic(arguments.picture, picture_png(shown, reconstruct(model, shown)[0]))
    print(score_line(score(originals, rebuilt, codes, config.vocab_size), config.vocab_size))


def _identity(config: DvaeTraining, corpus: Corpus, init: str | None) -> dict[str, Any]:
    """What a checkpoint must agree with: every knob, the pictures and the first weights."""
    return asdict(config) | {"pictures": corpus.sha256, "init": init}


def _initial(url: str) -> Dvae:
    file = read_dvae(url)
    if not file.decodes:
        raise ValueError(f"{url} holds an encoder alone; --init needs a decoder too")
    return file.model


def _device(name: str) -> str:
    """The device by name; a GPU's convolutions are made to give the same bits each time."""
    chosen = name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    if chosen.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"--device is {name}, but this machine has no CUDA GPU")
    torch.backends.cudnn.deterministic = True
    cv2.setNumThreads(1)  # the batches' thread; the cores are the network's
    return chosen


if __name__ == "__main__":
    raise SystemExit(main())
