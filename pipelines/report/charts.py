"""Bars: the funnel as a table of them, columns over a scale, histograms with thresholds."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pipelines.report.distributions import Distribution, Threshold
from pipelines.report.figures import Figures, Reason
from pipelines.report.positions import Number
from pipelines.report.words import escape, show_count, show_number, show_share

WIDTH, HEIGHT, GROUND = 400, 150, 130
"""Of a column chart, in its own units; the scale's words stand below GROUND."""
MAX_LABEL_CHARS = 6


def render_funnel(figures: Figures) -> str:
    """From rows read to pairs encoded, with what was lost between two stages."""
    return f'<table class="funnel"><tbody>{"".join(_funnel_rows(figures))}</tbody></table>'


def _funnel_rows(figures: Figures) -> Iterator[str]:
    read = figures.read
    yield _stage_row("read", read, read)
    yield from (_reason_row(reason, read) for reason in figures.reasons if reason.stage == "fetch")
    if figures.waiting:
        yield _row("reason", "not fetched yet", figures.waiting, read)
    yield _stage_row("fetched", figures.fetched, read)
    yield _stage_row("scored", figures.scored, read)
    yield from (_reason_row(reason, read) for reason in figures.reasons if reason.stage == "select")
    yield _stage_row("kept", figures.kept, read)
    yield _stage_row("tokens", figures.tokens.pairs if figures.tokens else None, read)


def _stage_row(name: str, rows: int | None, read: int) -> str:
    if rows is None:
        return (
            f'<tr class="stage"><th scope="row">{name}</th>'
            '<td colspan="3" class="soft">not built</td></tr>'
        )
    return _row("stage", name, rows, read)


def _reason_row(reason: Reason, read: int) -> str:
    link = f'<a href="#{escape(reason.name)}">\u2212 {escape(reason.name)}</a>'
    return _row("reason", link, reason.rows, read)


def _row(kind: str, name: str, rows: int, read: int) -> str:
    share = show_share(rows, read)
    return (
        f'<tr class="{kind}"><th scope="row">{name}</th>'
        f'<td><div class="bar">{_bar(rows, read)}</div></td>'
        f'<td class="number">{show_count(rows)}</td>'
        f'<td class="number soft percent">{share}</td></tr>'
    )


def _bar(rows: int, read: int) -> str:
    return f'<i style="width:{100 * rows / read:.2f}%"></i>' if rows else ""


def render_columns(values: Sequence[float], label: str, ends: tuple[str, str]) -> str:
    """One column a value from left to right, under the words at both ends of the scale.

    Args:
        label: the picture in words, for those who do not see it.
    """
    step, top = WIDTH / max(1, len(values)), max(values, default=0) or 1
    columns = "".join(
        f'<rect x="{i * step + 0.1 * step:.2f}" y="{GROUND * (1 - value / top):.2f}" '
        f'width="{0.8 * step:.2f}" height="{GROUND * value / top:.2f}"/>'
        for i, value in enumerate(values)
        if value
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{columns}'
        f'<line x1="0" y1="{GROUND}" x2="{WIDTH}" y2="{GROUND}"/>'
        f'<text x="0" y="{HEIGHT - 5}">{escape(ends[0])}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 5}" text-anchor="end">{escape(ends[1])}</text></svg>'
    )


def render_histogram(distribution: Distribution, moves: Mapping[str, Sequence[Number]]) -> str:
    """Stacked columns: kept, dropped by a rule that reads the signal, dropped by another.

    Args:
        moves: for a threshold's "rule.field", all positions that it may be moved to.
    """
    kinds = {
        "kept": distribution.kept,
        "here": distribution.dropped_here,
        "elsewhere": distribution.dropped_elsewhere,
    }
    top = max(map(sum, zip(*kinds.values(), strict=True)), default=0) or 1
    size = len(distribution.kept)
    columns, floors = [], [0.0] * size
    for kind, counts in kinds.items():
        columns.append(f'<g class="{kind}">{_stack(counts, floors, GROUND / top)}</g>')
        floors = [floor + count for floor, count in zip(floors, counts, strict=True)]
    cuts = "".join(_render_cut(distribution, cut, moves) for cut in distribution.thresholds)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(_describe(distribution))}">{"".join(columns)}'
        f'<line x1="0" y1="{GROUND}" x2="{WIDTH}" y2="{GROUND}"/>{cuts}'
        f"{_render_scale(distribution)}</svg>"
    )


def _stack(counts: Sequence[int], floors: Sequence[float], height: float) -> str:
    step = WIDTH / max(1, len(counts))
    return "".join(
        f'<rect x="{(i + 0.08) * step:.1f}" y="{GROUND - (floor + count) * height:.1f}" '
        f'width="{0.84 * step:.1f}" height="{count * height:.1f}"/>'
        for i, (count, floor) in enumerate(zip(counts, floors, strict=True))
        if count
    )


def _render_cut(
    distribution: Distribution, cut: Threshold, moves: Mapping[str, Sequence[Number]]
) -> str:
    """A line at the threshold; the places to which a slider may move it stand beside it."""
    name = f"{cut.rule}.{cut.field}"
    places = [_place(distribution, value + cut.offset) for value in moves.get(name, ())]
    told = f' data-slider="{name}" data-places="{" ".join(places)}"' if places else ""
    at = _place(distribution, cut.value + cut.offset)
    return f'<line class="cut" x1="{at}" x2="{at}" y1="0" y2="{GROUND}"{told}/>'


def _place(distribution: Distribution, value: float) -> str:
    return f"{WIDTH * distribution.place(value):.0f}"


def _render_scale(distribution: Distribution) -> str:
    if distribution.scale != "values":
        return "".join(_mark(distribution, share) for share in (0.0, 0.5, 1.0))
    step = WIDTH / max(1, len(distribution.labels))
    return "".join(
        f'<text x="{(i + 0.5) * step:.1f}" y="{HEIGHT - 5}" text-anchor="middle">'
        f"{escape(label[:MAX_LABEL_CHARS])}</text>"
        for i, label in enumerate(distribution.labels)
    )


def _mark(distribution: Distribution, share: float) -> str:
    """A word of the scale: at its begin, middle or end."""
    anchor = {0.0: "start", 0.5: "middle", 1.0: "end"}[share]
    value = float(np.interp(share, np.linspace(0, 1, len(distribution.edges)), distribution.edges))
    if distribution.is_whole:  # an edge lies between two numbers: tell the one within
        value = math.ceil(value) if share == 0 else math.floor(value)
    return (
        f'<text x="{WIDTH * share:.0f}" y="{HEIGHT - 5}" text-anchor="{anchor}">'
        f"{show_number(value)}</text>"
    )


def _describe(distribution: Distribution) -> str:
    kept, here, elsewhere = map(
        sum, (distribution.kept, distribution.dropped_here, distribution.dropped_elsewhere)
    )
    cuts = ", ".join(f"{cut.field} at {show_number(cut.value)}" for cut in distribution.thresholds)
    return (
        f"Histogram of {distribution.signal}: {show_count(kept)} rows kept, {show_count(here)} "
        f"dropped by a rule that reads it, {show_count(elsewhere)} by another"
        + (f"; {cuts}" if cuts else "")
    )
