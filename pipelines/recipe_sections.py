"""The tables of a recipe, one frozen dataclass each; every number's source stands beside it."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pyarrow as pa

from filters.bounds import Between, check_fields
from filters.filter import Filter
from filters.masking import PERSONAL_DATA
from filters.signals import SIGNAL_TYPES
from filters.signals.clip import Clip
from filters.signals.signal import Model
from filters.signals.tagger import Tagger
from filters.signals.word_lists import Profanity, WordList
from pipelines.selecting.duplicate_sections import (
    EvalSet,
    NearDuplicates,
    SemanticDuplicates,
    check_eval_sets,
    check_exact,
)
from pipelines.toml_tables import nearest
from tokens.numerics import settle_numerics

EMBEDDING = "clip_image_embedding"
"""The score stage's column of CLIP image embeddings, fixed-size lists of halves."""


@dataclass(frozen=True, slots=True)
class FetchSection:
    """How pictures are fetched and stored."""

    unit_rows: Annotated[int, Between(1, 1_000_000)] = 10_000
    """Input rows per work unit of fetch and score: what a crash can cost."""
    stored_side_px: Annotated[int, Between(8, 8_192)] = 288
    """Short side that is stored, pixels, never enlarged (Ramesh et al. 2021, Listing 2: 288)."""
    image_format: Literal["jpeg", "png"] = "jpeg"
    """How pixels are stored: JPEG of quality 95, or PNG for line art."""
    blur_faces: bool = False
    """Faces that the source gives boxes of are blurred before pixels are stored (as DataComp's
    downloads do it); a row whose boxes cannot be read ends as face_boxes_invalid."""
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
    """Files of SHA-256 or MD5 digests or perceptual hashes (phash:..., pdq:...) of pictures of
    which nothing may be kept, one a line."""

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

    signals: tuple[str, ...] = ()
    """Columns to compute; all by default, those of the models below included."""
    tagger: Tagger | None = None
    """What kinds of words captions have, by a part-of-speech tagger."""
    profanity: Profanity | None = None
    """How many words of a list of profane ones captions have."""
    vocabulary: WordList | None = None
    """How many words captions have that a list of known ones lacks."""
    clip: Clip | None = None
    """How well caption and picture fit, by a CLIP model, and what else its embeddings tell."""

    def __post_init__(self) -> None:
        known = self._known()
        for name in self.signals:
            if name not in known:
                raise ValueError(
                    f"signals names {name!r}, which is no signal; "
                    f"the nearest is {nearest(name, known)!r}"
                )
        if len(set(self.signals)) < len(self.signals):
            raise ValueError("signals names a column twice; name each once")

    @property
    def models(self) -> dict[str, Model]:
        """The tables that name weights, by their name."""
        named: dict[str, Model | None] = {
            "clip": self.clip,
            "tagger": self.tagger,
            "profanity": self.profanity,
            "vocabulary": self.vocabulary,
        }
        return {name: model for name, model in named.items() if model is not None}

    @property
    def columns(self) -> dict[str, pa.DataType]:
        """What the stage writes, in order: names and Arrow types."""
        known = self._known()
        return {name: known[name] for name in self.signals or known}

    def _known(self) -> dict[str, pa.DataType]:
        known = dict(SIGNAL_TYPES)
        for model in self.models.values():
            known |= dict(model.columns)
        return known


@dataclass(frozen=True, slots=True)
class SelectSection:
    """Which pairs are kept, and which of them are held out."""

    rules: tuple[Filter, ...] = ()
    """In order: the first that drops a row gives the reason."""
    optout_lists: tuple[str, ...] = ()
    """Files of URLs, hosts and SHA-256 digests, one a line, whose pairs are dropped without
    asking anybody again."""
    exact_duplicates: tuple[str, ...] = ()
    """Which copies are dropped: of "bytes", of "pixels", of "phash_caption" (COYO-700M's)."""
    near_duplicates: NearDuplicates | None = None
    """Whether near copies are looked for."""
    semantic_duplicates: SemanticDuplicates | None = None
    """Whether pictures that say the same are looked for; needs [score.clip] embeddings."""
    eval_sets: tuple[EvalSet, ...] = ()
    """Evaluation sets whose pictures are looked for in the corpus."""
    validation_share: Annotated[float, Between(0, 0.5)] = 0.00242
    """Share of pictures held out (Ramesh et al. 2021, section 2.3: 606,000 of 250 million)."""
    split_by: Literal["pixel_hash", "phash", "cluster"] = "pixel_hash"
    """What keeps a picture on one side: equal pixels, an equal perceptual hash, or a cluster of
    near duplicates."""
    seed: Annotated[int, Between(0, 2**63 - 1)] = 0
    """Of the split."""

    def __post_init__(self) -> None:
        check_fields(self)
        reasons = [rule.reason for rule in self.rules]
        for reason in reasons:
            if reasons.count(reason) > 1:
                raise ValueError(f"rules name {reason!r} more than once; keep one of them")
        check_exact(self.exact_duplicates)
        check_eval_sets(self.eval_sets)
        if self.split_by == "cluster" and self.near_duplicates is None:
            raise ValueError(
                'split_by is "cluster", and no clusters are made; give [select.near_duplicates]'
            )

    @property
    def wanted(self) -> dict[str, str]:
        """Columns of the score stage that the section reads, and what reads each of them."""
        needed = {name: rule.reason for rule in self.rules for name in rule.signals}
        readers = {
            'split_by = "phash"': self.split_by == "phash",
            'exact_duplicates "phash_caption"': "phash_caption" in self.exact_duplicates,
            "near_duplicates": self.near_duplicates is not None,
            "eval_sets": bool(self.eval_sets),
        }
        for reader in filter(readers.get, readers):
            needed["phash"] = reader
        if self.semantic_duplicates is not None:
            needed[EMBEDDING] = "semantic_duplicates"
        if any(one.min_similarity is not None for one in self.eval_sets):
            needed[EMBEDDING] = "eval_sets min_similarity"
        return needed


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
    numerics: Literal["auto", "fp32", "fp32_compiled", "bf16", "fp16"] = "auto"
    """The arithmetic that image codes are made in (`tokens.numerics`); auto: fp16 on a GPU, fp32 on
    a CPU. Another one makes tokens stale."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where image codes are made; auto: on GPUs where this machine has some and the arithmetic is
    for them, and on a remote runner's CPUs."""
    mask_personal_data: tuple[str, ...] = ()
    """What is replaced in captions by a word for it, before they become tokens and in the shards'
    caption: some of "credentials", "email", "ip_address", "telephone", "handle"."""
    seed: Annotated[int, Between(0, 2**63 - 1)] = 0
    """Of crops and BPE dropout."""

    def __post_init__(self) -> None:
        check_fields(self)
        settle_numerics(self.numerics, self.device, 1)  # raises where one is not for the other
        if self.side_px % 8:
            raise ValueError(
                f"side_px is {self.side_px}; give a multiple of 8, the stride of the dVAE, "
                f"such as {self.side_px // 8 * 8}"
            )
        for kind in self.mask_personal_data:
            if kind not in PERSONAL_DATA:
                raise ValueError(
                    f"mask_personal_data names {kind!r}, which is no kind of personal data; "
                    f"the nearest is {nearest(kind, PERSONAL_DATA)!r}"
                )
