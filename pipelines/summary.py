"""The table at the end of a build: where every row went, and what it took."""

from collections.abc import Iterator, Mapping

from pipelines.ledger import FETCH_OUTCOMES, OK, REASONS
from tokens.manifest import KEPT, Manifest

ALLOWED_BY_HAND = {"ssrf_blocked": "--allow_network", "port_not_allowed": "--allow_port"}


def describe_build(done: Mapping[str, Manifest], seconds: Mapping[str, float]) -> str:
    """Lines of text: rows read, rows per reason, kept, tokens, bytes and seconds per stage."""
    decided = done.get("select") or done["fetch"]
    lines = [
        f"{'read':<22}{done['rows'].rows:>12,} rows",
        *(f"  {reason:<20}{rows:>12,}" for reason, rows in _dropped(decided.counts)),
        f"{'kept' if 'select' in done else 'fetched':<22}{_survivors(decided):>12,}"
        + _splits(decided),
    ]
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


def _dropped(counts: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    order = (*FETCH_OUTCOMES[1:], *REASONS)
    for reason in sorted(set(counts) - {KEPT, OK}, key=order.index):
        yield reason, counts[reason]


def _survivors(decided: Manifest) -> int:
    return decided.counts.get(KEPT if decided.stage == "select" else OK, 0)


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
