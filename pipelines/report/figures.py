"""Every figure of the report as plain records, the same for the page and for report.json."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.ledger import DUPLICATE_PAIR, FETCH_OUTCOMES, OK, REASONS
from pipelines.recipe import Recipe, read_recipe
from pipelines.report.eval_overlap import EvalOverlap, show_eval_overlap
from pipelines.report.examples import Example, draw_places, load_examples
from pipelines.report.meanings import explain
from pipelines.report.near_duplicates import NearDuplicates, show_near_duplicates
from pipelines.report.sample_figures import SampleFigures, measure_sample
from pipelines.report.sides import Meeting, RuleFigures, count_meetings, measure_rules
from pipelines.report.source_figures import SourceFigures, list_sources
from pipelines.report.stages import (
    StageFigures,
    describe_stages,
    find_current,
    read_all_sides,
    read_stages,
)
from pipelines.report.token_figures import TokenFigures, measure_tokens
from tokens.manifest import KEPT, Manifest

EVAL_OVERLAP = "eval_overlap"
DROPPED_BY = dict.fromkeys(REASONS, "select") | dict.fromkeys(FETCH_OUTCOMES, "fetch")
"""The stage that a reason belongs to."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why rows were dropped, how many, and some of them."""

    name: str
    meaning: str
    stage: str
    """"fetch" or "select"."""
    rows: int
    settings: dict[str, Any]
    """The rule as the recipe has it; empty for what is no rule."""
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """A corpus in numbers and examples; None for what is not built."""

    corpus: str
    recipe: dict[str, Any]
    recipe_sha256: str
    stages: tuple[StageFigures, ...]
    read: int
    waiting: int
    """Rows that were read and not fetched yet."""
    fetched: int
    scored: int | None
    kept: int | None
    splits: dict[str, int]
    sources: tuple[SourceFigures, ...]
    """Empty where the build is older than the list of sources in its rows' manifest."""
    reasons: tuple[Reason, ...]
    survivors: tuple[Example, ...]
    """Some of the kept pairs, or of the fetched ones before select."""
    rules: tuple[RuleFigures, ...]
    """In the recipe's order; empty before select, or where another version wrote the recipe."""
    meetings: tuple[Meeting, ...]
    sample: SampleFigures | None
    near_duplicates: NearDuplicates | None
    eval_overlap: EvalOverlap | None
    tokens: TokenFigures | None

    @property
    def dropped(self) -> int:
        return sum(reason.rows for reason in self.reasons)

    @property
    def remaining(self) -> int:
        """Rows that nothing has dropped so far."""
        return self.fetched if self.kept is None else self.kept

    @property
    def books_balance(self) -> bool:
        """Whether every row that was read is in exactly one place."""
        return self.read == self.remaining + self.dropped + self.waiting

    def to_json(self) -> str:
        """Everything but the pictures."""
        document = asdict(self, dict_factory=_without_pictures)
        return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _without_pictures(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in items if not isinstance(value, bytes)}


def collect_figures(directory: str) -> Figures:
    """Read a build's manifests and records, a few of its units and a few of its shards."""
    found = read_stages(directory)
    current = find_current(found)
    pairs, decisions, tokens = current["fetch"], current.get("select"), current.get("encode")
    decided = decisions or pairs
    read = found["read"].rows if "read" in found else pairs.rows
    examples = load_examples(directory, pairs, draw_places(directory, decided))
    fetched = pairs.counts.get(OK, 0)
    recipe = list(current.values())[-1].recipe
    sides = read_all_sides(directory, found)
    known = find_recipe(decisions.recipe) if decisions else None
    token_figures = (
        measure_tokens(directory, pairs, decisions, tokens) if decisions and tokens else None
    )
    return Figures(
        corpus=directory.rstrip("/").rpartition("/")[2],
        recipe=recipe,
        recipe_sha256=hash_recipe(recipe),
        stages=describe_stages(found, current, sides),
        read=read,
        waiting=max(0, read - pairs.rows),
        fetched=fetched,
        scored=fetched if "score" in current else None,
        kept=decisions.counts.get(KEPT, 0) if decisions else None,
        splits=decisions.splits if decisions else {},
        sources=list_sources(
            found.get("read"),
            pairs,
            decisions,
            tokens,
            token_figures.tokens_per_row if token_figures else 0,
        ),
        reasons=tuple(list_reasons(decided, recipe, examples)),
        survivors=examples.get(KEPT if decisions else OK, ()),
        rules=measure_rules(known, decided.counts, sides.get("select", ()), sides.get("score", ()))
        if known
        else (),
        meetings=count_meetings(sides.get("select", ())) if decisions else (),
        sample=measure_sample(directory, current, known.select.rules if known else ()),
        near_duplicates=show_near_duplicates(directory, pairs, decisions) if decisions else None,
        eval_overlap=show_eval_overlap(directory, pairs, decisions) if decisions else None,
        tokens=token_figures,
    )


def find_recipe(recipe: Mapping[str, Any]) -> Recipe | None:
    """A manifest's recipe; None where this version cannot read it."""
    try:
        return read_recipe(recipe)
    except ValueError:
        return None


def list_reasons(
    decided: Manifest, recipe: Mapping[str, Any], examples: Mapping[str, tuple[Example, ...]]
) -> list[Reason]:
    """Every reason that dropped a row, in the order in which a row meets them."""
    rules = {rule["filter"]: rule for rule in recipe.get("select", {}).get("rules", ())}
    dropped = sorted(set(decided.counts) - {OK, KEPT}, key=order_reasons(rules).index)
    return [
        Reason(
            name=name,
            meaning=explain(name),
            stage=DROPPED_BY[name],
            rows=decided.counts[name],
            settings={key: value for key, value in rules.get(name, {}).items() if key != "filter"},
            examples=examples.get(name, ()),
        )
        for name in dropped
    ]


def order_reasons(rules: Iterable[str]) -> list[str]:
    """All reasons: those of fetch, the recipe's rules in its order, then comparisons."""
    return list(dict.fromkeys((*FETCH_OUTCOMES, DUPLICATE_PAIR, *rules, EVAL_OVERLAP, *REASONS)))


def hash_recipe(recipe: Mapping[str, Any]) -> str:
    """The hash that `pipelines.recipe` gives the same recipe."""
    text = json.dumps(recipe, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
