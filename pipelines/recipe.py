"""The definition of a corpus: what is fetched, measured, kept and encoded, with every number.

A recipe is a TOML file. It is read into frozen dataclasses before anything runs, and stored
whole, with its hash, in every manifest. A stage is made again where the hash of the sections
that it reads has changed.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

import fsspec

from filters import FILTERS
from filters.filter import Filter
from filters.short_side import ShortSide
from filters.signals import CORPUS_SIGNAL_TYPES, MODEL_TABLES
from pipelines.describing.card_section import CardSection
from pipelines.recipe_sections import EncodeSection, FetchSection, ScoreSection, SelectSection
from pipelines.toml_tables import check_keys, check_table, nearest, read_table

SUFFIX = ".toml"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One corpus's whole definition."""

    name: str
    """The file's name without its suffix; no part of the hash."""
    fetch: FetchSection = field(default_factory=FetchSection)
    score: ScoreSection = field(default_factory=ScoreSection)
    select: SelectSection = field(default_factory=SelectSection)
    encode: EncodeSection = field(default_factory=EncodeSection)
    card: CardSection = field(default_factory=CardSection)
    """How the corpus is published; no part of the hash, nor of `to_dict`: it decides no row."""

    def __post_init__(self) -> None:
        self._check_signals()
        self._check_sizes()

    def _check_signals(self) -> None:
        """Whatever select reads, score must have written."""
        for name, reader in self.select.wanted.items():
            if name not in self.score.columns and name not in CORPUS_SIGNAL_TYPES:
                raise ValueError(
                    f"[score] signals lacks {name!r}, which {reader} in [select] reads; "
                    f"add {self._what_measures(name)}"
                )

    def _what_measures(self, signal: str) -> str:
        """What a recipe must name for a column that it lacks."""
        tables = [table for table, kinds in MODEL_TABLES.items() if signal in kinds]
        if not tables:
            return "it"
        missing = tables[0] not in self.score.models
        return f"the table [score.{tables[0]}]" if missing else f"it, by [score.{tables[0]}]"

    def _check_sizes(self) -> None:
        """Every kept picture must be large enough for the crop."""
        side_px = self.encode.side_px
        if self.fetch.stored_side_px < side_px:
            raise ValueError(
                f"[fetch] stored_side_px is {self.fetch.stored_side_px}, less than the crop's "
                f"[encode] side_px of {side_px}; store at least {side_px}"
            )
        least = [rule.min_side_px for rule in self.select.rules if isinstance(rule, ShortSide)]
        if not least or least[0] < side_px:
            raise ValueError(
                f"[select] keeps pictures smaller than the crop's [encode] side_px of {side_px}; "
                f"give a rule short_side with min_side_px = {side_px} or more"
            )

    def to_dict(self) -> dict[str, Any]:
        """Everything but name and card, defaults included, as plain JSON values."""
        rules = [{"filter": rule.reason} | asdict(rule) for rule in self.select.rules]
        document = {section: asdict(getattr(self, section)) for section in SECTIONS}
        document["score"] |= {"signals": list(self.score.columns)}
        document["select"] |= {"rules": rules}
        return json.loads(json.dumps(document))  # type: ignore[no-any-return]  # tuples -> lists

    @property
    def sha256(self) -> str:
        """Hex digest of the whole recipe."""
        return self.section_sha256(*SECTIONS)

    def section_sha256(self, *sections: str) -> str:
        """Hex digest of the named sections, whatever their order in the file or the call."""
        document = self.to_dict()
        named = {section: document[section] for section in sections}
        text = json.dumps(named, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


SECTIONS = ("fetch", "score", "select", "encode")
"""What decides rows and their bytes."""
CARD = "card"


def load_recipe(name: str) -> Recipe:
    """The recipe of that name, or at that path or fsspec URL.

    A bundled one is found from any directory: as `demo`, `demo.toml` or `recipes/demo.toml`.

    Raises:
        ValueError: where there is none, or it is not one, in a sentence that says what to do.
    """
    text = _read_text(name)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"recipe {name} is not TOML: {error}") from error
    return read_recipe(document, PurePosixPath(name).name)


def read_recipe(document: Mapping[str, Any], origin: str = "recipe") -> Recipe:
    """The recipe that a TOML document or a manifest's `Recipe.to_dict()` describes."""
    check_table(document, origin)
    check_keys(document, (*SECTIONS, CARD), origin)
    tables = {section: document.get(section, {}) for section in (*SECTIONS, CARD)}
    fetch = read_table(FetchSection, tables["fetch"], f"{origin} [fetch]")
    score = read_table(ScoreSection, tables["score"], f"{origin} [score]")
    select = _read_select(tables["select"], f"{origin} [select]")
    encode = read_table(EncodeSection, tables["encode"], f"{origin} [encode]")
    card = read_table(CardSection, tables[CARD], f"{origin} [{CARD}]")
    try:
        return Recipe(origin.removesuffix(SUFFIX), fetch, score, select, encode, card)
    except ValueError as error:
        raise ValueError(f"{origin} {error}") from error


def _read_select(table: Any, where: str) -> SelectSection:
    """A [select] table, each of its `rules` read by the filter that it names."""
    check_table(table, where)
    rules = table.get("rules", [])
    if not isinstance(rules, list):
        raise ValueError(f"{where} rules is {rules!r}; give [[select.rules]] tables")
    read = tuple(
        _read_rule(rule, f"{where} rule {number}") for number, rule in enumerate(rules, start=1)
    )
    return read_table(SelectSection, {**table, "rules": read}, where)


def _read_rule(table: Any, where: str) -> Filter:
    """One rule: the filter under `filter`, its thresholds beside it."""
    check_table(table, where)
    kinds = {kind.reason: kind for kind in FILTERS}
    if "filter" not in table:
        raise ValueError(f"{where} names no filter; give filter = one of {', '.join(kinds)}")
    name = table["filter"]
    if name not in kinds:
        raise ValueError(
            f"{where} names the filter {name!r}, which there is not; "
            f"the nearest is {nearest(str(name), kinds)!r}"
        )
    thresholds = {key: value for key, value in table.items() if key != "filter"}
    return read_table(kinds[name], thresholds, f"{where} ({name})")


def _read_text(name: str) -> str:
    """A bundled recipe's text where the name is one's, else the text at that path or URL."""
    bundled = {item.name: item for item in files("recipes").iterdir() if item.name.endswith(SUFFIX)}
    path = PurePosixPath(name)
    if path.suffix == SUFFIX and _exists(name):
        with fsspec.open(name, "r", encoding="utf-8") as file:
            return str(file.read())
    wanted = path.name.removesuffix(SUFFIX) + SUFFIX
    if wanted in bundled and str(path.parent) in (".", "recipes"):
        return bundled[wanted].read_text("utf-8")
    known = ", ".join(sorted(item.removesuffix(SUFFIX) for item in bundled))
    raise ValueError(
        f"recipe {name!r} is no TOML file and no bundled recipe; give a path or one of {known}"
    )


def _exists(url: str) -> bool:
    filesystem, path = fsspec.url_to_fs(url)
    return bool(filesystem.isfile(path))
