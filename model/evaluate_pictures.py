"""Measure drawn pictures: FID, KID and Inception Score beside real ones, and CLIP score.

    python model/sample.py --run RUN --captions FILE --num 1 --pictures drawn
    python model/evaluate_pictures.py --drawn drawn --real photos --inception weights.pth
    python model/evaluate_pictures.py --drawn drawn --clip clip.safetensors --clip_model ViT-B-32

prints one JSON document, and a table on the error stream. FID and its kin are measured at the
paper's radii of Gaussian blur on both sides (Ramesh et al. 2021, figure 9); the paper's numbers are
of 30,000 captions of COCO and another port of Inception, so only numbers made by this command
compare. With fewer than some 10,000 pictures FID is far too high: look at KID. The CLIP score is
the mean cosine of a picture with the caption in its PNG, as `--pictures` writes it.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model.measuring.picture_metrics import RADII, list_pictures, measure_pictures
from model.sampling.clip_ranking import ClipRanker


def measure_clip(paths: Sequence[Path], ranker: ClipRanker) -> dict[str, Any]:
    """Mean cosine of pictures with their own captions, with its standard error.

    Raises:
        ValueError: a picture carries no caption.
    """
    captions, pictures = [], []
    for path in paths:
        with Image.open(path) as opened:
            caption = getattr(opened, "text", {}).get("Description")
            if caption is None:
                raise ValueError(f"{path} carries no caption: draw with sample.py --pictures")
            captions.append(caption)
            pictures.append(np.asarray(opened.convert("RGB")))
    scores = ranker.score_pairs(captions, pictures)
    error = float(np.std(scores, ddof=1)) / len(scores) ** 0.5
    document = {"clip_score": float(np.mean(scores)), "clip_score_error": error}
    return document | {"num_drawn": len(scores)} | ranker.to_document()


def show(found: dict[str, Any]) -> str:
    """What was measured as a table for the eye."""
    lines = []
    if "inception" in found:
        lines.append(f"{'blur':>6} {'FID':>10} {'KID x 1000':>12} {'Inception Score':>17}")
        lines += [
            f"{one['blur_radius_px']:>6g} {one['fid']:>10.2f} {1000 * one['kid']:>12.3f} "
            f"{one['inception_score']:>9.2f} +- {one['inception_score_std']:.2f}"
            for one in found["inception"]["by_blur"]
        ]
    if "clip" in found:
        clip = found["clip"]
        lines.append(f"CLIP score {clip['clip_score']:.4f} +- {clip['clip_score_error']:.4f}")
    return "\n".join(lines)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Raises ValueError where something that is needed is missing or wrong."""
    if args.inception is None and args.clip is None:
        raise ValueError("nothing to measure with: give --inception or --clip, files of weights")
    if args.inception is not None and args.real is None:
        raise ValueError("--inception needs --real, a folder of pictures to compare with")
    drawn, found = list_pictures(args.drawn), dict[str, Any]()
    if args.inception is not None:
        real = list_pictures(args.real)
        found["inception"] = measure_pictures(drawn, real, args.inception, args.blur)
    if args.clip is not None:
        found["clip"] = measure_clip(drawn, ClipRanker(args.clip_model, args.clip))
    return found


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="model/evaluate_pictures.py",
        description="Measure drawn pictures beside real ones, and by CLIP.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--drawn", required=True, help="folder of pictures that model/sample.py --pictures wrote")
    add("--real", help="folder of pictures to compare with, such as those of a validation set")
    add("--inception", metavar="WEIGHTS", help="file of torch-fidelity's InceptionV3")
    add("--blur", type=float, nargs="+", default=RADII, help="radii of Gaussian blur, pixels")
    add("--clip", metavar="WEIGHTS", help="file of a CLIP model")
    add("--clip_model", default="ViT-B-32", help="its architecture, by open_clip's name")
    add("--out", metavar="JSON", help="write the document there, too")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    try:
        found = measure(args)
        document = json.dumps(found, indent=1)
        if args.out is not None:
            Path(args.out).write_text(f"{document}\n", encoding="utf-8")
    except (ValueError, OSError) as err:
        print(f"evaluate_pictures: {err}", file=sys.stderr)
        return 2
    print(document)
    print(show(found), file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
