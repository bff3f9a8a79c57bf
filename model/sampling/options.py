"""The command line of model/sample.py."""

import argparse
from pathlib import Path

from model.sampling.generation import Choice
from model.sampling.sampler import DTYPES
from model.sampling.settings import Settings


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="model/sample.py",
        description="Draw pictures from captions with a trained run.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_places(parser.add_argument_group("what to draw, and where to"))
    _add_choice(parser.add_argument_group("how codes are drawn"))
    _add_ranking(parser.add_argument_group("the best of several"))
    return parser


def _add_places(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--run", required=True, help="folder that model/train.py wrote")
    add("--caption", action="append", default=[], help="a caption; may be given again")
    add("--captions", help="a text file, one caption per line")
    add("--out", default="samples.png", help="the sheet to write; its list beside it as .jsonl")
    add("--pictures", metavar="FOLDER", help="write every picture there, too, as a PNG of its own")
    add("--progress", metavar="PNG", help="write each caption's first picture as it came about")
    add("--prime", metavar="IMAGE", help="begin every picture with the top rows of this one")
    add("--prime_rows", type=int, help="rows of codes to take from it; default: 15 in 32")


def _add_choice(group: argparse._ArgumentGroup) -> None:
    add, paper = group.add_argument, Choice()
    add("--num", type=int, default=4, help="pictures per caption")
    add("--seed", type=int, default=0, help="of each caption's first picture; the next ones follow")
    add("--temperature", type=float, default=paper.temperature, help="below 1 is safer and duller")
    add("--top_k", type=int, default=paper.top_k, help="from the k likeliest codes; 0: from all")
    add("--top_p", type=float, default=paper.top_p, help="from the likeliest that hold p of 1")
    add("--guidance", type=float, default=paper.guidance, help="above 1: closer to the caption")
    add("--batch_size", type=int, help="pictures drawn at once; default: 16, on a GPU 64")
    add("--precision", choices=tuple(DTYPES), help="default: bf16 on a GPU, fp32 on a CPU")


def _add_ranking(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--best_of", type=int, default=0, help="draw N of each, keep the best --num (paper: 512)")
    add("--clip", metavar="WEIGHTS", help="file of a CLIP model that scores every picture")
    add("--clip_model", default="ViT-B-32", help="its architecture, by open_clip's name")


def make_settings(args: argparse.Namespace) -> Settings:
    """Raises ValueError for options out of range, or that need one another."""
    if args.best_of and args.clip is None:
        raise ValueError("--best_of needs --clip, the weights of a CLIP model")
    if args.prime_rows is not None and args.prime is None:
        raise ValueError("--prime_rows needs --prime, a picture")
    choice = Choice(args.temperature, args.top_k, args.top_p, args.guidance)
    return Settings(args.num, args.seed, choice, args.best_of)


def read_captions(args: argparse.Namespace) -> list[str]:
    """Raises ValueError where the command line gives no caption."""
    captions: list[str] = list(args.caption)
    if args.captions is not None:
        lines = Path(args.captions).read_text(encoding="utf-8").splitlines()
        captions += [line for line in lines if line.strip()]
    if not captions:
        raise ValueError("no caption: give --caption TEXT or --captions FILE")
    return captions
