"""One corpus or several that a run reads as one, each by its weight."""

from collections.abc import Sequence
from dataclasses import dataclass

from model.loading.batch import Batch, join_batches
from model.loading.corpus import TokenCorpus
from model.loading.ranges import Reading
from tokens.sequence import SequenceLayout

TOKENIZERS = ("text_tokenizer_sha256", "image_tokenizer_sha256")


@dataclass(frozen=True, slots=True)
class Corpora:
    """Tokens folders of one layout and the same tokenizers."""

    members: tuple[TokenCorpus, ...]
    weights: tuple[float, ...] = (1.0,)
    """The share of each in a run; only their ratios count."""

    def __post_init__(self) -> None:
        if len(self.members) != len(self.weights):
            raise ValueError(
                f"{len(self.members)} tokens folders but {len(self.weights)} weights; "
                "--mix takes one weight for each --data"
            )
        folders = [corpus.folder for corpus in self.members]
        if len(set(folders)) < len(folders):
            raise ValueError(f"a tokens folder is named twice: {', '.join(folders)}")
        for other in self.members[1:]:
            _check_fit(self.members[0], other)

    @property
    def layout(self) -> SequenceLayout:
        return self.members[0].layout

    def read_split(self, split: str, max_pairs: int, seed: int) -> Batch | None:
        """As `TokenCorpus.read_split`, from each corpus as many as its weight says."""
        total = sum(self.weights)
        drawn = [
            corpus.read_split(split, max(1, round(max_pairs * weight / total)), seed)
            for corpus, weight in zip(self.members, self.weights, strict=True)
        ]
        parts = [batch for batch in drawn if batch is not None]
        return join_batches(parts) if parts else None


Data = TokenCorpus | Corpora
"""What a run reads."""


def open_corpora(
    folders: Sequence[str], weights: Sequence[float] | None = None, reading: Reading | None = None
) -> Corpora:
    """Open tokens folders.

    Args:
        weights: one per folder; None: each by its number of training pairs, so that their epochs
            end together.

    Raises:
        FileNotFoundError, ValueError: one is none, or they do not fit together.
    """
    members = tuple(TokenCorpus(folder, reading) for folder in folders)
    if weights is None:
        weights = [float(max(1, corpus.rows("train"))) for corpus in members]
    return Corpora(members, tuple(weights))


def parse_mix(text: str) -> list[float]:
    """Weights as the command line has them.

    >>> parse_mix("0.7,0.3")
    [0.7, 0.3]
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--mix {text} is no list of weights such as 0.7,0.3") from None


def _check_fit(one: TokenCorpus, other: TokenCorpus) -> None:
    """Raises ValueError where a network cannot read both."""
    for name in SequenceLayout.__slots__:
        mine, theirs = getattr(one.layout, name), getattr(other.layout, name)
        if mine != theirs:
            raise ValueError(
                f"{one.folder} and {other.folder} cannot be mixed: {name} is {mine} in the first "
                f"and {theirs} in the other"
            )
    for name in TOKENIZERS:
        if one.manifest.details.get(name) != other.manifest.details.get(name):
            kind = name.partition("_")[0]
            raise ValueError(
                f"{one.folder} and {other.folder} cannot be mixed: another {kind} tokenizer made "
                "the other; encode one of them again"
            )
