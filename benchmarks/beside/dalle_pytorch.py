"""What the comparisons with DALLE-pytorch share: sizes, the peer's process, medians and ratios."""

import argparse
import json
import statistics
import subprocess
from pathlib import Path

from tokens.sequence import SequenceLayout

PEER = Path(__file__).parents[1] / "dalle_pytorch_peer"
SIZES = ("layers", "width", "text_slots", "grid", "image_vocabulary", "batch", "threads")


def make_parser(description: str, peer: str, image_vocabulary: int) -> argparse.ArgumentParser:
    """The flags of both comparisons; the sizes are those of the preset tiny."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--peer_python", help=peer)
    add("--gpu", action="store_true", help="measure ours on a CUDA device instead")
    add("--layers", type=int, default=4, help="those of the preset tiny")
    add("--width", type=int, default=192, help="those of the preset tiny")
    add("--text_slots", type=int, default=64, help="caption slots")
    add("--grid", type=int, default=16, help="rows and columns of codes")
    add("--image_vocabulary", type=int, default=image_vocabulary, help="codes that there are")
    add("--batch", type=int, default=16, help="pictures at a time")
    add("--threads", type=int, default=1, help="of torch, in both")
    return parser


def make_layout(args: argparse.Namespace) -> SequenceLayout:
    return SequenceLayout(
        text_slots=args.text_slots,
        grid_height=args.grid,
        grid_width=args.grid,
        image_vocab_size=args.image_vocabulary,
    )


def start_peer(args: argparse.Namespace, program: str, *more: str) -> subprocess.Popen[str]:
    """One of its programs, which answers each line with the seconds of a round."""
    sizes = [item for name in SIZES for item in (f"--{name}", str(getattr(args, name)))]
    command = [args.peer_python, "-W", "ignore", str(PEER / program), *sizes, *more]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )


def ask(peer: subprocess.Popen[str], kind: str) -> dict[str, float]:
    peer.stdin.write(f"{kind}\n")
    line = peer.stdout.readline()
    if not line:
        raise RuntimeError("the peer ended; what it said stands above")
    return dict(json.loads(line))


def summarise(times: dict[str, list[dict[str, float]]]) -> dict[str, object]:
    """Medians of seconds per batch, and how many times as long each of the others takes."""
    found: dict[str, object] = {}
    for clock in ("cpu", "wall"):
        medians = {
            name: statistics.median(round_[clock] for round_ in rounds)
            for name, rounds in times.items()
            if rounds
        }
        found[f"{clock}_s"] = {name: round(value, 3) for name, value in medians.items()}
        found[f"{clock}_ratio"] = {
            name: round(value / medians["pairmill"], 2)
            for name, value in medians.items()
            if name != "pairmill"
        }
    return found
