"""Draw how a run went: losses, learning rate, gradient norm and throughput over its steps.

    python -m model.plot RUN [--out RUN/plot.png]

reads RUN/metrics.jsonl, also while the run goes on.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

SIZE_INCHES = (11.0, 7.0)
DOTS_PER_INCH = 120


@dataclass(frozen=True, slots=True)
class Panel:
    """One of the figure's fields."""

    title: str
    unit: str
    lines: dict[str, str]
    """Name of a metric, and what the legend calls it."""
    scale: Literal["as it fits", "from zero", "logarithmic"] = "as it fits"


PANELS = (
    Panel("Image loss", "nats per token", {"image": "training", "held_out_image": "held out"}),
    Panel("Text loss", "nats per token", {"text": "training", "held_out_text": "held out"}),
    Panel("Throughput", "tokens per second", {"tokens_per_s": "all ranks"}, "from zero"),
    Panel("Learning rate", "", {"rate": "of the next step"}, "from zero"),
    Panel("Gradient norm", "before clipping", {"gradient": "mean of an interval"}, "logarithmic"),
    Panel("Left out", "steps so far", {"left_out": "not finite, or overflow"}, "from zero"),
)


def draw_plot(records: Sequence[dict[str, float]], title: str) -> Figure:
    """The figure of a run's `metrics.jsonl`."""
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    fields = figure.subplots(2, 3, sharex=True).flat
    for axes, panel in zip(fields, PANELS, strict=True):
        _draw_panel(axes, panel, records)
    return figure


def _draw_panel(axes: Axes, panel: Panel, records: Sequence[dict[str, float]]) -> None:
    axes.set_title(panel.title, fontsize="medium")
    axes.set_ylabel(panel.unit)
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
    for name, label in panel.lines.items():
        points = [(record["step"], record[name]) for record in records if name in record]
        if points:
            steps, values = zip(*points, strict=True)
            marker = "o" if name.startswith("held_out") else None
            axes.plot(steps, values, label=label, marker=marker, markersize=3, linewidth=1.2)
    if panel.scale == "logarithmic" and axes.lines:
        axes.set_yscale("log")
    else:
        axes.ticklabel_format(axis="y", scilimits=(-3, 5))
    if panel.scale == "from zero":
        axes.set_ylim(bottom=0)
    if len(axes.lines) > 1:
        axes.legend(fontsize="small")


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The records of a run, without a last one that is being written.

    Raises:
        ValueError: there are none.
    """
    lines = path.read_text().splitlines() if path.is_file() else []
    records: list[dict[str, float]] = [json.loads(line) for line in lines if line.endswith("}")]
    if not records:
        raise ValueError(f"{path} holds no measurements; has the run begun?")
    return records


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="model.plot",
        description="Draw a run's losses, learning rate, gradient norm and throughput.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="folder that model/train.py wrote")
    parser.add_argument("--out", type=Path, help="the PNG to write; default: RUN/plot.png")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    out = args.out or args.run / "plot.png"
    try:
        figure = draw_plot(read_metrics(args.run / "metrics.jsonl"), args.run.resolve().name)
        figure.savefig(out, format="png", dpi=DOTS_PER_INCH)
    except (ValueError, OSError) as err:
        print(f"plot: {err}", file=sys.stderr)
        return 2
    print(out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
