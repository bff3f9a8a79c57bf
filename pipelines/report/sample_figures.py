"""What is measured on a sample of the fetched rows: distributions, kinds, and what-if."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from filters.filter import Filter
from pipelines.report import kinds
from pipelines.report.distributions import Distribution, measure_distributions
from pipelines.report.kinds import Kinds, count_kinds
from pipelines.report.sample import draw_sample
from pipelines.report.whatif import WhatIf, make_what_if
from tokens.manifest import KEPT, Manifest


@dataclass(frozen=True, slots=True)
class SampleFigures:
    """Figures of some of the fetched rows."""

    rows: int
    fetched: int
    """Rows that the sample stands for."""
    distributions: tuple[Distribution, ...]
    kinds: Kinds
    what_if: WhatIf

    @property
    def is_all(self) -> bool:
        return self.rows == self.fetched


def measure_sample(
    directory: str, current: Mapping[str, Manifest], rules: Sequence[Filter]
) -> SampleFigures | None:
    """None before select, or where nothing was fetched."""
    columns = {*kinds.COLUMNS, *(name for rule in rules for name in rule.signals)}
    sample = draw_sample(directory, current, columns)
    if sample is None or not sample.rows:
        return None
    return SampleFigures(
        rows=sample.rows,
        fetched=sample.fetched,
        distributions=measure_distributions(sample, rules, KEPT),
        kinds=count_kinds(sample, KEPT),
        what_if=make_what_if(sample, rules, KEPT),
    )
