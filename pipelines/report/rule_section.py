"""The page's part on rules: how often each fires, what it alone drops, which fire together."""

from collections.abc import Sequence

from pipelines.report.figures import Figures
from pipelines.report.sides import Meeting, RuleFigures
from pipelines.report.tables import UNKNOWN, count_or_unknown, render_table
from pipelines.report.words import escape, show_count, show_seconds, show_share

HEADS = (
    "rule",
    "drops",
    "alone",
    "with others",
    "kept without it",
    "charged",
    "own time",
    "its signals",
)


def render_rules(figures: Figures) -> str:
    """A table of the rules, then a matrix of those that fire on the same rows."""
    if not figures.rules:
        return f'<p class="soft">{_explain_absence(figures)}</p>'
    rows = [_rule_row(rule, figures) for rule in figures.rules]
    return (
        "<p>What each rule does to the fetched rows, before anything is de-duplicated. "
        "A row is charged to the first rule that drops it; what a rule drops alone would be "
        "kept, or be left to the search for duplicates, without it.</p>"
        + render_table("Rules", HEADS, rows)
        + '<p class="soft">Times are summed over all units. Several rules may read one signal, '
        "whose time then stands beside each of them.</p>"
        + render_meetings(figures.rules, figures.meetings)
    )


def _explain_absence(figures: Figures) -> str:
    if figures.kept is None:
        return "Not built: run the same build on without --until."
    if figures.recipe.get("select", {}).get("rules"):
        return "Another version of pairmill wrote this recipe; its rules cannot be read."
    return "The recipe has no rules."


def _rule_row(rule: RuleFigures, figures: Figures) -> tuple[str, ...]:
    return (
        f"<code>{escape(rule.rule)}</code>",
        count_or_unknown(rule.fires),
        count_or_unknown(rule.alone),
        count_or_unknown(rule.together),
        _show_effect(rule.alone, figures.kept),
        show_count(rule.charged),
        show_seconds(rule.seconds),
        show_seconds(rule.signal_seconds),
    )


def _show_effect(alone: int | None, kept: int | None) -> str:
    """How much more would be kept without the rule."""
    return UNKNOWN if alone is None or not kept else f"+{show_share(alone, kept)}"


def render_meetings(rules: Sequence[RuleFigures], meetings: Sequence[Meeting]) -> str:
    """Rows that both of two rules drop; a rule that drops none has no line."""
    firing = [rule for rule in rules if rule.fires]
    if len(firing) < 2:
        return ""
    both = {frozenset((m.first, m.second)): m.rows for m in meetings}
    numbers = [str(number) for number in range(1, len(firing) + 1)]
    rows = [
        (
            f"{number} <code>{escape(rule.rule)}</code>",
            *(_cell(rule, other, both) for other in firing),
        )
        for number, rule in zip(numbers, firing, strict=True)
    ]
    return (
        "<h3>Which rules drop the same rows</h3><p>Of the rows that the rule at the left drops, "
        "so many are dropped by the numbered one as well; the stronger the colour, the greater "
        "their share.</p>"
        + render_table("Rules that drop the same rows", ("rule", *numbers), rows).replace(
            'class="table"', 'class="table matrix"'
        )
    )


def _cell(rule: RuleFigures, other: RuleFigures, both: dict[frozenset[str], int]) -> str:
    fires = rule.fires or 0
    rows = fires if rule is other else both.get(frozenset((rule.rule, other.rule)), 0)
    share = rows / fires if fires else 0.0
    return f'<span style="--share:{0 if rule is other else share:.2f}">{show_count(rows)}</span>'
