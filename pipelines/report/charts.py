"""Bars: the funnel as a table of them, and columns over a scale."""

from collections.abc import Iterator, Sequence

from pipelines.report.figures import Figures, Reason
from pipelines.report.words import escape, show_count, show_share

WIDTH, HEIGHT, GROUND = 400, 150, 130
"""Of a column chart, in its own units; the scale's words stand below GROUND."""


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
