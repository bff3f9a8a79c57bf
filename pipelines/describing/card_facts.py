"""What a build's manifests say that its card repeats: one place, so that the figures agree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.by_source import SourceCounts, count_by_source
from pipelines.ledger import OK
from pipelines.report.figures import hash_recipe
from pipelines.report.stages import FOLDERS, find_current, read_stages
from tokens.manifest import KEPT, Manifest


@dataclass(frozen=True, slots=True)
class CardFacts:
    """A build as far as it has come."""

    stage: str
    """Whose files are published: "encode", or "fetch" where no tokens are made yet."""
    published: Manifest
    decided: Manifest
    """Of select, or of fetch before it: where every row ended."""
    rows_read: int
    sources: tuple[SourceCounts, ...]
    recipe: Mapping[str, Any]

    @property
    def folder(self) -> str:
        return FOLDERS[self.stage]

    @property
    def recipe_sha256(self) -> str:
        return hash_recipe(self.recipe)

    @property
    def kept(self) -> int:
        """Pairs that are kept, or fetched where nothing is decided yet."""
        return self.decided.counts.get(KEPT, self.decided.counts.get(OK, 0))

    @property
    def dropped(self) -> dict[str, int]:
        """Rows per reason, the most frequent first."""
        reasons = [item for item in self.decided.counts.items() if item[0] not in (KEPT, OK)]
        return dict(sorted(reasons, key=lambda item: (-item[1], item[0])))

    @property
    def counts(self) -> dict[str, int]:
        """The figures that card and document share, by name."""
        series: dict[str, int] = {}
        for entry in self.published.files:
            if entry.group:
                name = f"rows of {entry.group}"
                series[name] = series.get(name, 0) + entry.rows
        return {"rows read": self.rows_read, "pairs kept": self.kept, **series}


def collect_facts(directory: str) -> CardFacts:
    """Read the manifests of a build's folder.

    Raises:
        FileNotFoundError: there are no fetched pairs.
    """
    found = read_stages(directory)
    current = find_current(found)
    stage = "encode" if "encode" in current else "fetch"
    decided = current.get("select", current["fetch"])
    rows = found.get("read")
    return CardFacts(
        stage=stage,
        published=current[stage],
        decided=decided,
        rows_read=rows.rows if rows else decided.rows,
        sources=count_by_source(rows, decided) if rows else (),
        recipe=current[stage].recipe,
    )
