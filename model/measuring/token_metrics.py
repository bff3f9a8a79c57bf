"""What a split's tokens cost the model, and how its codes are spread, as a record and a table."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

NATS_PER_BIT = math.log(2)


@dataclass(frozen=True, slots=True)
class CodeUse:
    """How much of a codebook pictures use."""

    vocabulary: int
    used: int
    """Codes that stand in some picture."""
    entropy_bits: float
    """Of one code by its frequency alone: what the image loss is without any context."""

    @property
    def perplexity(self) -> float:
        """Codes that would be used if all were used alike."""
        return float(2**self.entropy_bits)


@dataclass(frozen=True, slots=True)
class SplitMetrics:
    """Measured over some pairs of a split, losses in nats per token."""

    split: str
    pairs: int
    text_nats: float
    image_nats: float
    gap_nats: tuple[float, float, float] | None
    """Image loss with shuffled minus with true captions: mean and 95 % interval."""
    codes: CodeUse

    def to_document(self) -> dict[str, Any]:
        bits = {
            "text_bits": self.text_nats / NATS_PER_BIT,
            "image_bits": self.image_nats / NATS_PER_BIT,
        }
        return asdict(self) | bits | {"code_perplexity": self.codes.perplexity}


def measure_code_use(codes: npt.NDArray[Any], vocabulary: int) -> CodeUse:
    """Over all codes of an array of any shape."""
    counts = np.bincount(codes.ravel(), minlength=vocabulary)
    share = counts[counts > 0] / codes.size
    return CodeUse(vocabulary, len(share), float(-(share * np.log2(share)).sum()) + 0.0)


def show_table(metrics: Sequence[SplitMetrics]) -> str:
    """A line per split, with a head."""
    head = (
        f"{'split':<9} {'pairs':>6}  {'text nats':>9} {'bits':>6}  {'image nats':>10} {'bits':>6}  "
        f"{'caption gap, nats':<24}  {'codes used':>13} {'perplexity':>10}"
    )
    return "\n".join([head, *map(_line, metrics)])


def _line(one: SplitMetrics) -> str:
    gap = "not measured"
    if one.gap_nats is not None:
        mean, low, high = one.gap_nats
        gap = f"{mean:.3f} [{low:.3f}, {high:.3f}]"
    used = f"{one.codes.used} of {one.codes.vocabulary}"
    return (
        f"{one.split:<9} {one.pairs:>6}  "
        f"{one.text_nats:>9.3f} {one.text_nats / NATS_PER_BIT:>6.3f}  "
        f"{one.image_nats:>10.3f} {one.image_nats / NATS_PER_BIT:>6.3f}  "
        f"{gap:<24}  {used:>13} {one.codes.perplexity:>10.0f}"
    )
