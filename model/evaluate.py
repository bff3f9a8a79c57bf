"""Measure a trained run: what its tokens cost, and does the model read its captions?

    python model/evaluate.py --run RUN [--data DIR/tokens] [--eval_pairs 512] [--seed 0]

prints a table of both splits (text and image nats and bits per token, the gap below, and how the
pictures' codes are spread), and then one line,

    captions: train gap 0.123 [0.101, 0.145] held-out gap 0.045 [0.012, 0.078] nats per image
    token (shuffled minus true, 95 % over pairs)

The image loss of a picture under its own caption is compared with its loss under the caption of
another picture of the same split, drawn by seed. The gap of one pair is the difference of the two
means over its image tokens: zero, but for chance, where a model looks at no caption. Reported are
the mean over pairs and its 95 % interval, mean +- 1.96 standard errors. The weights are the run's
averaged ones with the lowest held-out loss; view 0 of each pair is read. With the tiny preset
512 pairs of 64 + 256 tokens take about half a minute on two CPU cores, each split. Pictures are
measured by model/evaluate_pictures.py.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.loading.batch import Batch
from model.loading.corpora import Data, open_corpora
from model.measuring.token_metrics import SplitMetrics, measure_code_use, show_table
from model.run_folder import RunFolder
from model.transformer import Transformer
from tokens.draw import keyed_generator

SPLITS = {"train": "train", "val": "held-out"}
"""Splits, and how they are called in words."""
NORMAL_95 = 1.96
ROWS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Losses:
    """Mean cross entropies in nats per token."""

    text: float
    image: float


@dataclass(frozen=True, slots=True)
class Gap:
    """Image loss with shuffled minus with true captions, nats per image token."""

    mean: float
    low: float
    high: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@torch.inference_mode()
def measure_losses(model: Transformer, batch: Batch) -> Losses:
    """Losses with the captions that belong to the pictures."""
    device = next(model.parameters()).device
    text: list[Tensor] = []
    image: list[Tensor] = []
    for part_text, part_image in _parts(batch, device):
        losses = model(part_text, part_image)
        text.append(losses.text_N)
        image.append(losses.image_BI.mean(dim=1))
    return Losses(float(torch.cat(text).mean()), float(torch.cat(image).mean()))


@torch.inference_mode()
def measure_gap(model: Transformer, batch: Batch, seed: int) -> Gap | None:
    """The caption gap over the pairs of `batch`; None where there are fewer than two."""
    if len(batch.text) < 2:
        return None
    device = next(model.parameters()).device
    shuffled = Batch(batch.pair_ids, batch.text[other_captions(batch.text, seed)], batch.image)
    true_N, shuffled_N = (
        torch.cat([model(t, i).image_BI.double().mean(dim=1) for t, i in _parts(side, device)])
        for side in (batch, shuffled)
    )
    gaps = (shuffled_N - true_N).cpu().numpy()
    mean, error = float(gaps.mean()), float(gaps.std(ddof=1)) / math.sqrt(len(gaps))
    return Gap(mean, mean - NORMAL_95 * error, mean + NORMAL_95 * error, len(gaps))


def other_captions(text: npt.NDArray[Any], seed: int) -> npt.NDArray[np.int64]:
    """For each row the index of a row with another caption; each row is used once.

    1. Rows of equal captions are put together, the groups in an order drawn by `seed`.
    2. This list is rotated by the size of its largest group: no row meets its own group, unless
       one caption belongs to more than half of the rows.
    """
    _, group = np.unique(text, axis=0, return_inverse=True)
    sizes = np.bincount(group)
    generator = keyed_generator(b"", "other_captions", seed)
    place_of_group = generator.permutation(len(sizes))
    within = generator.permutation(len(text))
    order = within[np.argsort(place_of_group[group[within]], kind="stable")]
    result = np.empty_like(order)
    result[order] = np.roll(order, -int(sizes.max()))
    return result


def _parts(batch: Batch, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    text, image = batch.to(device)
    return [
        (text[i : i + ROWS_AT_ONCE], image[i : i + ROWS_AT_ONCE])
        for i in range(0, len(text), ROWS_AT_ONCE)
    ]


def captions_line(model: Transformer, corpus: Data, max_pairs: int, seed: int) -> str:
    """Measure the gap on both splits and say it in one line."""
    gaps: dict[str, Gap | None] = {}
    for split in SPLITS:
        batch = corpus.read_split(split, max_pairs, seed)
        gaps[split] = None if batch is None else measure_gap(model, batch, seed)
    return say_gaps(gaps)


def say_gaps(gaps: Mapping[str, Gap | None]) -> str:
    """One line about both splits."""
    said = [
        f"{name} gap {gaps.get(split) or 'not measured (fewer than 2 pairs)'}"
        for split, name in SPLITS.items()
    ]
    return f"captions: {' '.join(said)} nats per image token (shuffled minus true, 95 % over pairs)"


def measure_split(
    model: Transformer, corpus: Data, split: str, max_pairs: int, seed: int
) -> tuple[SplitMetrics, Gap | None] | None:
    """All that is measured of a split; None where it is empty."""
    batch = corpus.read_split(split, max_pairs, seed)
    if batch is None:
        return None
    losses, gap = measure_losses(model, batch), measure_gap(model, batch, seed)
    metrics = SplitMetrics(
        split=split,
        pairs=len(batch),
        text_nats=losses.text,
        image_nats=losses.image,
        gap_nats=None if gap is None else (gap.mean, gap.low, gap.high),
        codes=measure_code_use(batch.image, model.layout.image_vocab_size),
    )
    return metrics, gap


def default_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="model/evaluate.py",
        description="Measure a trained run: losses, code use, and whether it reads its captions.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--run", required=True, help="folder that model/train.py wrote")
    parser.add_argument("--data", help="tokens folder; default: the one the run was trained on")
    parser.add_argument("--eval_pairs", type=int, default=512, help="most pairs per split")
    parser.add_argument("--seed", type=int, default=0, help="draws the pairs and their captions")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    try:
        folder = RunFolder(args.run)
        run, data = folder.read()
        corpus = open_corpora([args.data] if args.data else folder.data_folders())
        if corpus.layout != run.layout:
            raise ValueError(
                f"{args.data or data.folder} holds sequences of another layout than the run's"
            )
        model, step = folder.load_model(default_device())
        print(f"weights of step {step}")
        found = {
            split: measured
            for split in SPLITS
            if (measured := measure_split(model, corpus, split, args.eval_pairs, args.seed))
        }
        metrics = [one for one, _ in found.values()]
        print(show_table(metrics))
        print(say_gaps({split: gap for split, (_, gap) in found.items()}))
        if args.json is not None:
            document = {"step": step, "seed": args.seed} | {
                one.split: one.to_document() for one in metrics
            }
            Path(args.json).write_text(json.dumps(document, indent=1) + "\n")
    except (ValueError, FileNotFoundError) as err:
        print(f"evaluate: {err}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
