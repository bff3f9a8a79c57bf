"""Tables of figures: a row's name, then numbers; wide ones scroll within themselves."""

from collections.abc import Iterable, Sequence

from pipelines.report.words import show_count

UNKNOWN = "\u2013"


def render_table(name: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of which the first column names the rows.

    Args:
        name: the table in words, for those who do not see it.
        heads: of all columns, HTML.
        rows: cells, HTML.
    """
    first, *others = heads
    head = f'<th scope="col">{first}</th>' + "".join(
        f'<th scope="col" class="number">{head}</th>' for head in others
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{name}">'
        f'<table class="table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(map(_render_row, rows))}</tbody></table></div>"
    )


def _render_row(cells: Sequence[str]) -> str:
    first, *others = cells
    numbers = "".join(f'<td class="number">{cell}</td>' for cell in others)
    return f'<tr><th scope="row">{first}</th>{numbers}</tr>'


def count_or_unknown(number: int | None) -> str:
    return UNKNOWN if number is None else show_count(number)
