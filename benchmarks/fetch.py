"""Pictures per CPU second and per wall second: pairmill, img2dataset and the floor, in one run.

    python benchmarks/fetch.py [--rounds 5] [--pictures 3000] [--side_px 256] [--large]

All fetch the same JPEGs (40 to 400 KB, statistics of photographs) from one nginx on loopback, over
HTTP and HTTPS, and store them as JPEG of quality 95 with a short side of `--side_px`. Rounds
alternate. A program's start-up, measured with eight pictures in every round (the median counts),
is taken off its figures and given apart. pairmill is run as a user runs it (`pipelines.build
--until fetch`): Beam, guard, robots.txt, decoding processes, hashes, Parquet and books included.
CPU time is that of the program and all its children; machines are noisy, so trust the ratios.

Needs nginx (Debian: nginx-light); made once, the pictures are kept in `--work`.
"""

import argparse
import json
import operator
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fetching.pictures import make_pictures
from fetching.programs import PROGRAMS, Task, Usage, keep_bytecode, run_program
from fetching.server import Server, run_nginx

FEW = 8
"""Pictures of a run that measures little but start-up."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One program's round, its start-up taken off."""

    per_cpu_s: float
    per_wall_s: float
    start_cpu_s: float
    start_wall_s: float
    busy: float
    """CPU seconds per wall second."""


def main() -> int:
    options = make_parser().parse_args()
    work = Path(options.work)
    shape = (1024, 2800) if options.large else (300, 1600)
    pictures = make_pictures(work / f"pictures-{shape[0]}", options.pictures, *shape)
    with run_nginx(pictures, work / "nginx") as server:
        rates = measure(options, server)
    print(describe(rates, options))
    if options.json:
        Path(options.json).write_text(json.dumps(summarise(rates), indent=1) + "\n")
    return 0


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="rounds of which the median counts (default 5)")
    add("--pictures", type=int, default=3000, help="pictures per run (default 3000)")
    add("--side_px", type=int, default=256, help="short side that is stored (default 256)")
    add("--large", action="store_true", help="pictures of 1024 to 2800 px, not 300 to 1600")
    add("--only", nargs="*", default=list(PROGRAMS), choices=list(PROGRAMS), help="programs")
    add("--work", default=str(Path(tempfile.gettempdir()) / "pairmill-bench"), help="folder")
    add("--json", help="file for the figures")
    return parser


def measure(options: argparse.Namespace, server: Server) -> dict[str, list[Rate]]:
    starts: dict[str, list[Usage]] = {name: [] for name in options.only}
    wholes: dict[str, list[Usage]] = {name: [] for name in options.only}
    for number in range(options.rounds):
        for name in options.only:
            starts[name].append(_run(name, FEW, options, server))
            wholes[name].append(whole := _run(name, options.pictures, options, server))
            used = f"{whole.cpu_s:.1f} CPU s, its start {starts[name][-1].cpu_s:.1f}"
            print(f"round {number + 1}  {name:<24} {used}", file=sys.stderr)
    return {
        name: [take_off(median_usage(starts[name]), whole, options.pictures) for whole in of]
        for name, of in wholes.items()
    }


def median_usage(runs: list[Usage]) -> Usage:
    return Usage(
        statistics.median(run.cpu_s for run in runs), statistics.median(run.wall_s for run in runs)
    )


def take_off(start: Usage, whole: Usage, pictures: int) -> Rate:
    """A run's rate without its start: one start's noise would be a tenth of the figure."""
    number, cpu_s = pictures - FEW, whole.cpu_s - start.cpu_s
    wall_s = whole.wall_s - start.wall_s
    return Rate(number / cpu_s, number / wall_s, start.cpu_s, start.wall_s, cpu_s / wall_s)


def _run(name: str, number: int, options: argparse.Namespace, server: Server) -> Usage:
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        task = Task(Path(folder), server, number, options.side_px)
        return run_program(name, task, keep_bytecode(Path(options.work)))


def median(rates: list[Rate], pick: Callable[[Rate], float]) -> float:
    return statistics.median(map(pick, rates))


def summarise(rates: dict[str, list[Rate]]) -> dict[str, dict[str, float]]:
    picks = {field: operator.attrgetter(field) for field in Rate.__slots__}
    return {
        name: {field: round(median(of, pick), 3) for field, pick in picks.items()}
        for name, of in rates.items()
    }


def describe(rates: dict[str, list[Rate]], options: argparse.Namespace) -> str:
    lines = [
        f"{options.pictures} pictures, {options.side_px} px, medians of {options.rounds}; "
        f"Python {platform.python_version()}, {platform.machine()}",
        f"{'':<24}{'per CPU s':>10}{'per wall s':>11}{'start CPU s':>12}{'cores busy':>11}"
        f"{'of floor':>10}{'x img2dataset':>14}",
    ]
    for name, of in rates.items():
        way = name.partition(" ")[2]
        per_cpu_s = median(of, lambda rate: rate.per_cpu_s)
        lines.append(
            f"{name:<24}{per_cpu_s:>10.1f}{median(of, lambda rate: rate.per_wall_s):>11.1f}"
            f"{median(of, lambda rate: rate.start_cpu_s):>12.1f}"
            f"{median(of, lambda rate: rate.busy):>11.2f}"
            f"{_ratio(per_cpu_s, rates, f'floor {way}'):>10}"
            f"{_ratio(per_cpu_s, rates, _peer(way)):>14}"
        )
    return "\n".join(lines)


def _peer(way: str) -> str:
    """img2dataset closes every connection, so that it has one row per scheme."""
    return f"img2dataset {way.partition('_')[0]}"


def _ratio(per_cpu_s: float, rates: dict[str, list[Rate]], other: str) -> str:
    if not rates.get(other):
        return "-"
    return f"{per_cpu_s / median(rates[other], lambda rate: rate.per_cpu_s):.2f}"


if __name__ == "__main__":
    raise SystemExit(main())
