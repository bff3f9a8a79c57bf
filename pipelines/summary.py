"""The table at the end of a build: where every row went, and what it took."""

from collections.abc import Iterator, Mapping, Sequence

from pipelines.by_source import SourceCounts, count_by_source
from pipelines.ledger import FETCH_OUTCOMES, OK, REASONS
from tokens.manifest import KEPT, Manifest

ALLOWED_BY_HAND = {"ssrf_blocked": "--allow_network", "port_not_allowed": "--allow_port"}


def describe_build(done: Mapping[str, Manifest], seconds: Mapping[str, float]) -> str:
    """Lines of text: rows read, rows per reason, kept, tokens, bytes and seconds per stage.

    Of several sources each has a column of its own, beside that of all.
    """
    decided = done.get("select") or done["fetch"]
    sources = count_by_source(done["rows"], decided)
    lines = [*_table(done["rows"].rows, decided, sources if len(sources) > 1 else ())]
    if "encode" in done:
        lines.append(f"{'tokens':<22}{_count_tokens(done['encode']):>12,}  in {_rows(done)}")
    lines += [
        f"{stage:<22}{seconds[stage]:>12.1f} s  {done[stage].bytes:>14,} bytes" for stage in seconds
    ]
    lines += [
        f"{decided.counts[reason]} rows ended as {reason}: {flag} allows such a host by hand"
        for reason, flag in ALLOWED_BY_HAND.items()
        if reason in decided.counts
    ]
    return "\n".join(lines)


def _table(read: int, decided: Manifest, sources: Sequence[SourceCounts]) -> Iterator[str]:
    """Rows read, rows per reason, rows that are left: of all, then of each source."""
    if sources:
        yield _line("", "all", *(source.name[-SOURCE_CHARS:] for source in sources))
    yield _line("read", read, *(source.rows for source in sources)) + ("" if sources else " rows")
    for reason, rows in _dropped(decided.counts):
        yield _line(f"  {reason}", rows, *(source.counts.get(reason, 0) for source in sources))
    survives = KEPT if decided.stage == "select" else OK
    left = (source.counts.get(survives, 0) for source in sources)
    name = "kept" if survives == KEPT else "fetched"
    yield _line(name, decided.counts.get(survives, 0), *left) + _splits(decided)


SOURCE_CHARS = 14
"""Of a source's name; the report has it whole."""


def _line(name: str, *cells: int | str) -> str:
    first, *others = (f"{cell:,}" if isinstance(cell, int) else cell for cell in cells)
    return f"{name:<22}{first:>12}" + "".join(f"{cell:>16}" for cell in others)


def _dropped(counts: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    order = (*FETCH_OUTCOMES[1:], *REASONS)
    for reason in sorted(set(counts) - {KEPT, OK}, key=order.index):
        yield reason, counts[reason]


def _splits(decided: Manifest) -> str:
    if not decided.splits:
        return ""
    return "  (" + ", ".join(f"{split} {rows:,}" for split, rows in decided.splits.items()) + ")"


def _count_tokens(tokens: Manifest) -> int:
    layout = tokens.details
    slots = layout["text_slots"] + layout["grid_height"] * layout["grid_width"]
    return int(tokens.rows * slots)


def _rows(done: Mapping[str, Manifest]) -> str:
    groups = sorted({entry.group for entry in done["encode"].files})
    return ", ".join(
        f"{sum(e.rows for e in done['encode'].group(group)):,} rows of {group}" for group in groups
    )
