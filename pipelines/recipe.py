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
from typing import Annotated, Any, Literal

import fsspec

from filters import FILTERS
from filters.bounds import Between, check_fields
from filters.filter import Filter
from filters.short_side import ShortSide
from filters.signals import SIGNAL_TYPES
from pipelines.toml_tables import check_keys, check_table, nearest, read_table

SUFFIX = ".toml"


@dataclass(frozen=True, slots=True)
class FetchSection:
    """How pictures are fetched and stored."""

    unit_rows: Annotated[int, Between(1, 1_000_000)] = 10_000
    """Input rows per work unit of fetch and score: what a crash can cost."""
    stored_side_px: Annotated[int, Between(8, 8_192)] = 288
    """Short side that is stored, pixels, never enlarged (Ramesh et al. 2021, Listing 2: 288)."""
    image_format: Literal["jpeg", "png"] = "jpeg"
    """How pixels are stored: JPEG of quality 95, or PNG for line art."""
    total_timeout_s: Annotated[float, Between(0.1, 3_600)] = 20.0
    """Seconds for one picture, redirects included (thumbor's default)."""
    connect_timeout_s: Annotated[float, Between(0.1, 3_600)] = 5.0
    """Seconds for one connection (thumbor's default)."""
    max_redirects: Annotated[int, Between(0, 20)] = 5
    """Redirects followed for one picture (RFC 9309 asks for at least 5; thumbor's default)."""
    max_bytes: Annotated[int, Between(1, 2**31 - 1)] = 16 * 2**20
    """Bytes of one answer's body; between camo's 5 MB and imgproxy's none."""
    max_pixels: Annotated[int, Between(1, 89_478_485)] = 50_000_000
    """Pixels of a picture before it is decoded (imgproxy's default; Pillow ends at 89 million)."""
    retries: Annotated[int, Between(0, 10)] = 2
    """Further attempts after a failure that may pass (Scrapy's default)."""
    concurrency: Annotated[int, Between(1, 4_096)] = 64
    """Fetches that one process has under way."""
    per_host_concurrency: Annotated[int, Between(1, 4_096)] = 2
    """Fetches that one process has under way at one host, out of politeness."""
    host_delay_s: Annotated[float, Between(0, 3_600)] = 1.0
    """Least seconds between two requests to a host that hosts.toml does not name (Heritrix: 3)."""
    host_budget_s: Annotated[float, Between(1, 86_400)] = 600.0
    """Seconds that a unit waits for one host's turn; later rows end as host_deferred."""
    decode_timeout_s: Annotated[float, Between(0.1, 3_600)] = 10.0
    """Seconds for one picture's decoding."""
    verify_hash: Literal["require", "record", "off"] = "require"
    """What a table's sha256 or md5 column is for: other bytes are refused, marked, or not looked at
    (split-view poisoning: Carlini et al. 2023, arXiv 2302.10149)."""
    optout_lists: tuple[str, ...] = ()
    """Files of URLs, hosts and SHA-256 digests that are left alone, one a line."""
    blocklists: tuple[str, ...] = ()
    """Files of SHA-256 or MD5 digests of pictures of which nothing may be kept, one a line."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.connect_timeout_s > self.total_timeout_s:
            raise ValueError(
                f"connect_timeout_s is {self.connect_timeout_s}; give at most the "
                f"{self.total_timeout_s} s of total_timeout_s"
            )


@dataclass(frozen=True, slots=True)
class ScoreSection:
    """What is measured."""

    signals: tuple[str, ...] = tuple(SIGNAL_TYPES)
    """Columns to compute; all by default."""

    def __post_init__(self) -> None:
        for name in self.signals:
            if name not in SIGNAL_TYPES:
                raise ValueError(
                    f"signals names {name!r}, which is no signal; "
                    f"the nearest is {nearest(name, SIGNAL_TYPES)!r}"
                )
        if len(set(self.signals)) < len(self.signals):
            raise ValueError("signals names a column twice; name each once")


@dataclass(frozen=True, slots=True)
class SelectSection:
    """Which pairs are kept, and which of them are held out."""

    rules: tuple[Filter, ...] = ()
    """In order: the first that drops a row gives the reason."""
    validation_share: Annotated[float, Between(0, 0.5)] = 0.00242
    """Share of pictures held out (Ramesh et al. 2021, section 2.3: 606,000 of 250 million)."""
    split_by: Literal["pixel_hash", "phash"] = "pixel_hash"
    """What keeps a picture on one side: equal pixels, or an equal perceptual hash."""
    seed: Annotated[int, Between(0, 2**63 - 1)] = 0
    """Of the split."""

    def __post_init__(self) -> None:
        check_fields(self)
        reasons = [rule.reason for rule in self.rules]
        for reason in reasons:
            if reasons.count(reason) > 1:
                raise ValueError(f"rules name {reason!r} more than once; keep one of them")


@dataclass(frozen=True, slots=True)
class EncodeSection:
    """How kept pairs become tokens."""

    side_px: Annotated[int, Between(8, 1_024)] = 256
    """Side of the square crop that is encoded (Ramesh et al. 2021, Listing 2)."""
    views: Annotated[int, Between(1, 100)] = 2
    """Crops per training pair: two cover the paper's 1.76 epochs."""
    text_slots: Annotated[int, Between(1, 4_096)] = 256
    """Text tokens per caption at most (Ramesh et al. 2021, section 2.2)."""
    bpe_dropout: Annotated[float, Between(0, 1)] = 0.1
    """Chance that a merge is skipped, in training views (Ramesh et al. 2021, appendix B.2)."""
    text_tokenizer: str = "bundled"
    """The bundled vocabulary, or a file or URL of another."""
    image_tokenizer: str | None = None
    """The bundled small dVAE, or a file or URL of another; without it a build asks for one."""
    seed: Annotated[int, Between(0, 2**63 - 1)] = 0
    """Of crops and BPE dropout."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.side_px % 8:
            raise ValueError(
                f"side_px is {self.side_px}; give a multiple of 8, the stride of the dVAE, "
                f"such as {self.side_px // 8 * 8}"
            )


@dataclass(frozen=True, slots=True)
class Recipe:
    """One corpus's whole definition."""

    name: str
    """The file's name without its suffix; no part of the hash."""
    fetch: FetchSection = field(default_factory=FetchSection)
    score: ScoreSection = field(default_factory=ScoreSection)
    select: SelectSection = field(default_factory=SelectSection)
    encode: EncodeSection = field(default_factory=EncodeSection)

    def __post_init__(self) -> None:
        self._check_signals()
        self._check_sizes()

    def _check_signals(self) -> None:
        """Whatever select reads, score must have written."""
        needed = {name: rule.reason for rule in self.select.rules for name in rule.signals}
        if self.select.split_by == "phash":
            needed["phash"] = 'split_by = "phash"'
        for name, reader in needed.items():
            if name not in self.score.signals:
                raise ValueError(
                    f"[score] signals lacks {name!r}, which {reader} in [select] reads; add it"
                )

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
        """Everything but the name, defaults included, as plain JSON values."""
        rules = [{"filter": rule.reason} | asdict(rule) for rule in self.select.rules]
        document = {section: asdict(getattr(self, section)) for section in SECTIONS}
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
    check_keys(document, SECTIONS, origin)
    tables = {section: document.get(section, {}) for section in SECTIONS}
    fetch = read_table(FetchSection, tables["fetch"], f"{origin} [fetch]")
    score = read_table(ScoreSection, tables["score"], f"{origin} [score]")
    select = _read_select(tables["select"], f"{origin} [select]")
    encode = read_table(EncodeSection, tables["encode"], f"{origin} [encode]")
    try:
        return Recipe(origin.removesuffix(SUFFIX), fetch, score, select, encode)
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
