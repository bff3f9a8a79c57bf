"""What units have to say beside their rows: seconds, and how often each rule fires."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fsspec

from filters.signals import SIGNALS
from pipelines.recipe import Recipe
from tokens.manifest import FileEntry, join_url

Side = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """What one rule does to the fetched rows, before anything is de-duplicated.

    None where the build was made before units said so.
    """

    rule: str
    charged: int
    """Rows that ended for its reason: it was the first to drop them."""
    fires: int | None
    """Rows that it would drop."""
    alone: int | None
    """Rows that no other rule would drop: without the rule there would be so many more."""
    seconds: float | None
    """Of its own, over all units."""
    signal_seconds: float | None
    """Of the signals that it reads, other rules' share included."""

    @property
    def together(self) -> int | None:
        """Rows that another rule would drop as well."""
        return None if self.fires is None or self.alone is None else self.fires - self.alone


@dataclass(frozen=True, slots=True)
class Meeting:
    """Rows that two rules would both drop."""

    first: str
    second: str
    rows: int


def read_sides(folder: str, entries: Sequence[FileEntry]) -> list[Side]:
    """What the record beside each file tells; nothing where the record is gone."""
    if not entries:
        return []
    filesystem, path = fsspec.url_to_fs(folder)
    names = [join_url(path, f"{entry.name}.json") for entry in entries]
    records = filesystem.cat(names, on_error="omit")
    told = [json.loads(record).get("side", {}) for _, record in sorted(records.items())]
    return told + [{}] * (len(entries) - len(told))


def sum_seconds(sides: Sequence[Side]) -> float | None:
    """Seconds of all units, or None where none of them took the time."""
    return _sum([side["seconds"] for side in sides if "seconds" in side])


def measure_rules(
    recipe: Recipe,
    counts: Mapping[str, int],
    decided: Sequence[Side],
    scored: Sequence[Side],
) -> tuple[RuleFigures, ...]:
    """One for each rule, in the recipe's order.

    Args:
        counts: rows per reason.
        decided: sides of the select stage's units.
        scored: sides of the score stage's units.
    """
    firsts = find_first_columns(recipe)
    return tuple(
        RuleFigures(
            rule=rule.reason,
            charged=counts.get(rule.reason, 0),
            fires=_add(decided, rule.reason, "fires"),
            alone=_add(decided, rule.reason, "only"),
            seconds=_sum(_tell(decided, rule.reason, "seconds")),
            signal_seconds=_sum_signals(scored, {firsts.get(name, name) for name in rule.signals}),
        )
        for rule in recipe.select.rules
    )


def find_first_columns(recipe: Recipe) -> dict[str, str]:
    """For each column of a signal the signal's first, under which records tell its time."""
    models = [model.columns for model in recipe.score.models.values()]
    return {
        name: columns[0][0]
        for columns in (*(signal.columns for signal in SIGNALS), *models)
        for name, _ in columns
    }


def _tell(sides: Sequence[Side], rule: str, key: str) -> list[Any]:
    told = [side["rules"][rule] for side in sides if rule in side.get("rules", {})]
    return [one[key] for one in told if key in one]


def _add(sides: Sequence[Side], rule: str, key: str) -> int | None:
    """None unless every unit has told it: part of a sum would be no figure at all."""
    told = _tell(sides, rule, key)
    return sum(told) if sides and len(told) == len(sides) else None


def _sum(seconds: Sequence[float]) -> float | None:
    return round(sum(seconds), 6) if seconds else None


def _sum_signals(scored: Sequence[Side], columns: Collection[str]) -> float | None:
    """Seconds of the signals of which these are the first columns."""
    told = [side.get("signals", {}) for side in scored]
    return _sum([seconds[name] for seconds in told for name in sorted(columns) if name in seconds])


def count_meetings(decided: Sequence[Side]) -> tuple[Meeting, ...]:
    """Pairs of rules that drop the same rows, the most frequent first."""
    rows: dict[str, int] = {}
    for side in decided:
        for pair, count in side.get("together", {}).items():
            rows[pair] = rows.get(pair, 0) + count
    meetings = [
        Meeting(first, second, count)
        for (first, second), count in ((pair.split(" ", 1), rows[pair]) for pair in rows)
        if count
    ]
    return tuple(sorted(meetings, key=lambda m: (-m.rows, m.first, m.second)))
