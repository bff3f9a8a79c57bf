"""What a stage lays beside its files for people and the report: made by steps, like all else."""

from dataclasses import dataclass

from pipelines.steps import Step


@dataclass(frozen=True, slots=True)
class Listing:
    """Steps that make files, and where the stage's publisher finds those."""

    steps: tuple[Step, ...] = ()
    beside: tuple[tuple[str, str], ...] = ()
    """Files for the stage's folder: where from, and the name there."""
    facts: tuple[str, ...] = ()
    """JSON objects for the manifest's details."""

    def __add__(self, other: "Listing") -> "Listing":
        return Listing(
            self.steps + other.steps, self.beside + other.beside, self.facts + other.facts
        )
