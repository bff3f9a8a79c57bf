"""What a recipe's [select] says of duplicates and of evaluation sets, one frozen dataclass each."""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated, Literal

from filters.bounds import Between, check_fields

EXACT = ("bytes", "pixels", "phash_caption")
"""What two rows may have in common, in the order in which a dropped row takes its reason."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Pictures whose perceptual hashes differ in few bits, and chains of them: clusters."""

    max_distance: Annotated[int, Between(0, 7)] = 3
    """Bits of 64. Ours: compressing again or scaling flips 0 or 1 (Zauner 2010's hash, measured),
    and unrelated pictures differ in 15 and more."""
    action: Literal["drop", "list"] = "drop"
    """Drop all but one of a cluster, or keep them and only list them."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class SemanticDuplicates:
    """Pictures whose CLIP embeddings are close, after SemDeDup (Abbas et al. 2023)."""

    min_similarity: Annotated[float, Between(0, 1)] = 0.95
    """Cosine from which on two pictures say the same. Ours: the paper turns this knob (1 - epsilon)
    until the share that it wants is left."""
    rows_per_centre: Annotated[int, Between(1, 10_000_000)] = 8_800
    """One k-means centre for so many rows (the paper: 50,000 for 440 million)."""
    iterations: Annotated[int, Between(1, 1_000)] = 20
    """Of k-means; ours."""
    seed: Annotated[int, Between(0, 2**31 - 1)] = 0
    """Of k-means' start."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class EvalSet:
    """Pictures that a model will be judged by."""

    name: str = ""
    """What the set is called in lists and reports: letters, digits, dots and dashes."""
    pictures: str = ""
    """A folder of pictures, a table of paths or fsspec URLs (column `path`, `url` or `image`), or
    Parquet with their bytes (column `image`)."""
    max_distance: Annotated[int, Between(0, 12)] = 8
    """Bits of 64 up to which a picture counts as one of the set's. Ours: a crop by 5 % flips about
    8. The search goes to 12 and the report shows what lies there, whatever counts."""
    min_similarity: Annotated[float, Between(0, 1)] | None = None
    """Cosine of CLIP embeddings from which on it counts so too; needs [score.clip] embeddings."""
    action: Literal["drop", "list"] = "drop"
    """Drop the pair (`eval_overlap`), or keep it and list what is left of the evaluation set
    (Ramesh et al. 2021, section 3.2)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not _NAME.fullmatch(self.name):
            raise ValueError(f'name is {self.name!r}; give letters, digits, . _ -, such as "coco"')
        if not self.pictures:
            raise ValueError(f"pictures of {self.name!r} is missing; give a folder or a table")


def check_exact(names: tuple[str, ...]) -> None:
    """Raise ValueError unless all are in EXACT, each once."""
    for name in names:
        if name not in EXACT:
            raise ValueError(
                f"exact_duplicates names {name!r}; give some of {', '.join(map(repr, EXACT))}"
            )
    if len(set(names)) < len(names):
        raise ValueError("exact_duplicates names one twice; name each once")


def check_eval_sets(sets: tuple[EvalSet, ...]) -> None:
    """Raise ValueError where two sets have one name."""
    names = [one.name for one in sets]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"eval_sets names {name!r} more than once; give each its own name")


def require_faiss() -> None:
    """Raise ValueError unless faiss is installed."""
    if find_spec("faiss") is None:
        raise ValueError(
            "[select.semantic_duplicates] needs faiss: pip install pairmill[semantic], or leave "
            "the table out"
        )
