"""The page's tables of languages and of original sizes."""

from collections.abc import Iterator, Sequence

from pipelines.report.kinds import Kind, Kinds
from pipelines.report.sample_figures import SampleFigures
from pipelines.report.tables import render_table
from pipelines.report.words import escape, show_count, show_share


def render_kinds(sample: SampleFigures | None) -> str:
    """Each table with rows, kept rows, and the share of the kind that is kept."""
    if sample is None:
        return '<p class="soft">Not built: run the same build on without --until.</p>'
    tables = "".join(_list_tables(sample.kinds))
    return f"<p>{describe_sample(sample)}</p>" + (
        f'<div class="charts">{tables}</div>'
        if tables
        else '<p class="soft">Neither languages nor sizes were measured.</p>'
    )


def describe_sample(sample: SampleFigures) -> str:
    if sample.is_all:
        return f"All {show_count(sample.rows)} fetched rows are counted."
    return (
        f"Counted on {show_count(sample.rows)} of the {show_count(sample.fetched)} fetched rows, "
        "drawn by a hash of their pairs."
    )


def _list_tables(kinds: Kinds) -> Iterator[str]:
    for detector, languages in kinds.languages.items():
        yield _render(f"Language by {detector}", "code", languages)
    if kinds.short_sides:
        yield _render("Short side of the original", "pixels", kinds.short_sides)
        yield _render("Width to height of the original", "from \u2013 below", kinds.aspects)


def _render(title: str, head: str, kinds: Sequence[Kind]) -> str:
    most = max((kind.rows for kind in kinds), default=0)
    rows = [
        (
            escape(kind.name),
            _render_bar(kind, most),
            show_count(kind.rows),
            show_count(kind.kept),
            show_share(kind.kept, kind.rows),
        )
        for kind in kinds
    ]
    heads = (head, "", "rows", "kept", "share")
    return f'<div class="chart"><h3>{title}</h3>{render_table(title, heads, rows)}</div>'


def _render_bar(kind: Kind, most: int) -> str:
    """Kept rows, then dropped ones, on the scale of the largest kind."""
    kept, dropped = (100 * n / max(1, most) for n in (kind.kept, kind.rows - kind.kept))
    return (
        f'<div class="bar split"><i style="width:{kept:.1f}%"></i>'
        f'<i class="lost" style="width:{dropped:.1f}%"></i></div>'
    )
