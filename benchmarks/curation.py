"""Rows per CPU second of scoring and of rules, ours beside DataComp, data-juicer and datatrove.

    python benchmarks/curation.py [--pictures FOLDER --captions captions.csv] [--rounds 5]
        [--datacomp PYTHON --datacomp_code CHECKOUT] [--data_juicer PYTHON] [--datatrove PYTHON]
        [--language_model lid.176.ftz]

Without flags: the bundled sample, ours alone. A peer is named by the interpreter of an environment
that it is installed in (`curating/NAME.py` says what is in it) and needs fastText's language model;
data-juicer looks for it as lid.176.bin, in the same folder. All get the same rows and the rules of
DataComp's basic filter: more than 5 characters and 2 words, English, and, where a program knows the
picture's size, a short side of 200 px and an aspect ratio of at most 3. Plain functions, one
process, one thread each; rounds alternate, and figures are medians of CPU time. `of_ours` is our
basic filter's CPU time over the line's.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from curating.peers import Peer, Program, Round, start_peers
from curating.rows import read_pairs, write_for_peers

from filters import AspectRatio, CaptionLength, Language, ShortSide
from filters.filter import Filter
from filters.signals import SIGNALS
from filters.signals.caption_size import CAPTION_SIZE
from filters.signals.cld2 import CLD2
from filters.signals.cld3 import CLD3
from filters.signals.picture_size import PICTURE_SIZE
from filters.signals.signal import Signal
from pipelines.score import score_pairs

SAMPLE = Path(__file__).parent.parent / "examples" / "clipart"
PEERS = (
    ("datacomp", "datacomp_basic.py", ()),
    ("data_juicer", "data_juicer_filters.py", ("language_first",)),
    ("data_juicer", "data_juicer_filters.py", ()),
    ("datatrove", "datatrove_filters.py", ("language_first",)),
    ("datatrove", "datatrove_filters.py", ()),
)
"""Flag that names the interpreter, script, what else the script gets."""
BASIC = (CAPTION_SIZE, CLD3, CLD2, PICTURE_SIZE)
BASIC_RULES: tuple[Filter, ...] = (
    CaptionLength(min_chars=6, min_words=3),
    Language(policy="cld2_agree"),
    AspectRatio(min_ratio=1 / 3, max_ratio=3),
    ShortSide(min_side_px=200),
)
"""What DataComp's basic filter asks for, in our rules, and all signals that they read."""
TEXT = tuple(signal for signal in SIGNALS if signal.needs == "caption")
"""All that is measured of a caption."""


def score(pairs: pa.Table, signals: Sequence[Signal]) -> pa.Table:
    names = {name: kind for signal in signals for name, kind in signal.columns}
    return score_pairs(pairs, names, signals)


def judge(signals: pa.Table, rules: Sequence[Filter]) -> np.ndarray:
    """True where no rule would drop the row."""
    batch = signals.combine_chunks().to_batches()[0]
    return ~np.logical_or.reduce([rule(batch) for rule in rules])


def list_own(pairs: pa.Table) -> dict[str, Callable[[], int]]:
    """What is timed of ours; each answers with the rows that it keeps or has measured."""
    basic = score(pairs, BASIC)
    return {
        "basic filter: score and rules": lambda: int(judge(score(pairs, BASIC), BASIC_RULES).sum()),
        "basic filter: rules alone": lambda: int(judge(basic, BASIC_RULES).sum()),
        "cld3 alone": lambda: len(score(pairs, (CLD3,))),
        "cld2 alone": lambda: len(score(pairs, (CLD2,))),
        "all text signals": lambda: len(score(pairs, TEXT)),
        "all signals, pictures too": lambda: len(score(pairs, SIGNALS)),
    }


def time_round(run: Callable[[], int]) -> Round:
    cpu, wall = time.process_time(), time.perf_counter()
    kept = run()
    return Round(time.process_time() - cpu, time.perf_counter() - wall, kept)


def measure(
    own: Mapping[str, Callable[[], int]], peers: Mapping[str, Peer], rounds: int
) -> dict[str, list[Round]]:
    for run in own.values():
        run()  # what is loaded once is loaded now, as it is in the peers
    times: dict[str, list[Round]] = {name: [] for name in (*own, *peers)}
    for _ in range(rounds):
        for name, run in own.items():
            times[name].append(time_round(run))
        for name, peer in peers.items():
            times[name].append(peer.run())
    return times


def report(times: Mapping[str, Sequence[Round]], rows: int) -> list[dict[str, object]]:
    """One line a program; the first is what the others are compared with."""
    medians = {name: statistics.median(one.cpu_s for one in of) for name, of in times.items()}
    ours = next(iter(medians.values()))
    return [
        {
            "what": name,
            "rows_per_cpu_s": round(rows / medians[name]),
            "lowest": round(rows / max(one.cpu_s for one in of)),
            "highest": round(rows / min(one.cpu_s for one in of)),
            "of_ours": round(ours / medians[name], 2),
            "kept": of[-1].kept,
        }
        for name, of in times.items()
    ]


def list_programs(args: argparse.Namespace, rows: Path) -> dict[str, Program]:
    return {
        " ".join((flag, *more)): Program(
            script, getattr(args, flag), (rows, args.language_model, *more)
        )
        for flag, script, more in PEERS
        if getattr(args, flag)
    }


def list_variables(args: argparse.Namespace) -> dict[str, str]:
    """Of the environment: where two programs look for their code and their models."""
    found = {"OMP_NUM_THREADS": "1"}
    if args.datacomp_code:
        found["PYTHONPATH"] = str(args.datacomp_code)
    if args.language_model:
        found["DATA_JUICER_MODELS_CACHE"] = str(args.language_model.parent)
    return found


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Rows per CPU second of scoring and rules.")
    add = parser.add_argument
    add("--pictures", type=Path, default=SAMPLE, metavar="FOLDER")
    add("--captions", type=Path, metavar="TABLE", help="default: FOLDER/captions.csv")
    add("--rounds", type=int, default=5)
    for name in sorted({name for name, _, _ in PEERS}):
        add(f"--{name}", type=Path, metavar="PYTHON", help="its interpreter")
    add("--datacomp_code", type=Path, metavar="CHECKOUT", help="of github.com/mlfoundations")
    add("--language_model", type=Path, metavar="FILE", help="fastText's lid.176")
    return parser


def main() -> None:
    args = make_parser().parse_args()
    cv2.setNumThreads(1)
    pa.set_cpu_count(1)
    pairs = read_pairs(args.pictures, args.captions or args.pictures / "captions.csv")
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.parquet"
        write_for_peers(pairs, rows)
        with start_peers(list_programs(args, rows), list_variables(args)) as peers:
            times = measure(list_own(pairs), peers, args.rounds)
    for line in report(times, len(pairs)):
        print(json.dumps(line))


if __name__ == "__main__":
    main()
