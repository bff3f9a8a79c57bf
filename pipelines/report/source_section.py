"""The page's table of sources: the funnel of each beside the others."""

from collections.abc import Sequence

from pipelines.report.source_figures import SourceFigures
from pipelines.report.tables import count_or_unknown, render_table
from pipelines.report.words import escape, escape_within, show_count

MAX_NAME_BYTES = 120


def render_sources(sources: Sequence[SourceFigures], reasons: Sequence[str]) -> str:
    """Steps and reasons from top to bottom, a column a source; nothing where there is one.

    Args:
        reasons: all that dropped a row, in the order to show them.
    """
    if len(sources) < 2:
        return ""
    heads = ("of each source", *map(_name, sources))
    rows = [
        *(_told_row(title, [getattr(s, field) for s in sources]) for title, field in TOLD.items()),
        _count_row("<b>read</b>", [source.read for source in sources]),
        _count_row("<b>fetched</b>", [source.fetched for source in sources]),
        *(_reason_row(reason, sources) for reason in reasons),
        _count_row("<b>kept</b>", [source.kept for source in sources]),
        _count_row("<b>tokens</b>", [source.tokens for source in sources]),
    ]
    return "<h3>Per source</h3>" + render_table("Rows per source", heads, rows)


TOLD = {"licence": "license", "captions": "caption", "dialect": "dialect"}


def _name(source: SourceFigures) -> str:
    return f'<bdi dir="auto">{escape_within(source.name, MAX_NAME_BYTES)}</bdi>'


def _told_row(title: str, values: Sequence[str]) -> tuple[str, ...]:
    return title, *(escape_within(value, MAX_NAME_BYTES) or "\u2013" for value in values)


def _count_row(title: str, counts: Sequence[int | None]) -> tuple[str, ...]:
    return title, *map(count_or_unknown, counts)


def _reason_row(reason: str, sources: Sequence[SourceFigures]) -> tuple[str, ...]:
    return (
        f'<a href="#{escape(reason)}">\u2212 {escape(reason)}</a>',
        *(show_count(source.dropped.get(reason, 0)) for source in sources),
    )
