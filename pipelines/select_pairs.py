"""Select: each pair is kept, or dropped for one reason; the kept ones are split in two.

    verdicts ──> evaluation overlap ──> exact, near, semantic duplicates ──> decisions

A row takes the first reason that applies: what ended it in fetch, an earlier row with its URL and
caption, an opt-out list, the rules in their order, an evaluation set, then duplicates, for which
`candidates.py` has the order. Every comparison over the corpus is a join by bucket files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.signals import CORPUS_SIGNAL_TYPES
from pipelines import join, progress
from pipelines.commit import (
    Output,
    Written,
    commit_table,
    hash_entries,
    hash_file,
    make_digest,
    read_side,
    unit_output,
)
from pipelines.corpus import Build
from pipelines.decoding.picture import DecodeLimits, StoredImage
from pipelines.ledger import REASONS, count_outcomes
from pipelines.publishing import Generation, PublishFiles
from pipelines.recipe_sections import EMBEDDING, SelectSection
from pipelines.selecting.candidates import Corpus, SignalUnit
from pipelines.selecting.caption_counts import plan_caption_counts
from pipelines.selecting.cluster_list import plan_cluster_list
from pipelines.selecting.duplicate_sections import EXACT
from pipelines.selecting.eval_list import plan_eval_list
from pipelines.selecting.eval_overlap import OverlapAnswers, plan_eval_overlap
from pipelines.selecting.eval_pictures import EmbeddingModel, HashEvalPictures, PictureKit
from pipelines.selecting.eval_sets import list_chunks
from pipelines.selecting.exact_duplicates import ExactAnswers, plan_exact_duplicates
from pipelines.selecting.listing import Listing
from pipelines.selecting.near_duplicates import Clustered, NearAnswers, plan_near_duplicates
from pipelines.selecting.pair_duplicates import plan_pair_duplicates
from pipelines.selecting.semantic_duplicates import plan_semantic_duplicates
from pipelines.selecting.verdicts import JudgeUnit
from pipelines.steps import Job, Step, Stopwatch
from tokens.draw import keyed_uniforms
from tokens.manifest import KEPT, Manifest

TRAIN, VALIDATION = "train", "val"

PACKAGES = ("numpy", "pyarrow", "xxhash")


def assign_split(keys: pa.Array, validation_share: float, seed: int) -> pa.Array:
    """`val` for about the given share of the distinct keys, `train` for the others.

    Args:
        keys: what must not straddle the split, 16 bytes of pixel hash or a uint64 perceptual
            hash per row; a null key has no split.
    """
    there = keys.drop_null().to_pylist()
    digits = there if pa.types.is_binary(_plain(keys.type)) else map(_as_bytes, there)
    held_out = keyed_uniforms(digits, "split", seed) < validation_share
    sides = pa.array([TRAIN, VALIDATION]).take(pa.array(held_out.astype(np.int8)))
    return pc.replace_with_mask(pa.nulls(len(keys), pa.string()), keys.is_valid(), sides)


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.binary() if pa.types.is_fixed_size_binary(kind) else kind


def _as_bytes(number: int) -> bytes:
    return number.to_bytes(8, "little")


@dataclass(frozen=True, slots=True)
class DecideUnit:
    """One unit's decisions: per row a reason, a split, and what was counted over the corpus."""

    corpus: Corpus
    section: SelectSection
    section_sha256: str
    exact: ExactAnswers | None
    near: NearAnswers | None
    semantic: tuple[Output, ...]
    """Per group of centres: rows by unit that say what a better one says."""

    def output(self, item: SignalUnit) -> Output:
        joins = [found.answers for found in (self.exact, self.near) if found is not None]
        names = [output.name for answers in (*joins, self.semantic) for output in answers]
        files = (item.pairs.sha256, item.signals.sha256, self.corpus.key(item.index), *names)
        return unit_output(self.corpus.folder, item.index, self.section_sha256, *files)

    def rows(self, item: SignalUnit) -> int:
        return item.pairs.rows

    def __call__(self, item: SignalUnit) -> None:
        watch = Stopwatch()
        decisions = self._decide(item)
        written = Written(
            len(decisions),
            count_outcomes(decisions["reason"]),
            count_outcomes(decisions["split"].drop_null()),
            read_side(self.corpus.verdicts[item.index]) | {"seconds": watch.seconds()},
        )
        commit_table(self.output(item), decisions, written)
        progress.advance(len(decisions))

    def _decide(self, item: SignalUnit) -> pa.Table:
        reasons = self.corpus.read_reasons(item.index)
        clustered = self._find_clusters(item, np.flatnonzero(pc.equal(reasons, KEPT).to_numpy()))
        for reason, dropped in self._find_duplicates(item, clustered).items():
            taken = pc.and_(pc.equal(reasons, KEPT), pa.array(dropped))
            reasons = pc.if_else(taken, reason, reasons)
        keys = pc.if_else(pc.equal(reasons, KEPT), self._read_keys(item, clustered), None)
        splits = assign_split(
            keys.combine_chunks(), self.section.validation_share, self.section.seed
        )
        pair_ids = self.corpus.read_pairs(item, "pair_id")["pair_id"]
        decided = pa.table({"pair_id": pair_ids, "reason": reasons, "split": splits})
        for name in self.corpus.counted:
            decided = decided.append_column(name, self.corpus.read_counts(item.index)[name])
        return decided

    def _find_clusters(self, item: SignalUnit, rows: npt.NDArray[np.int64]) -> Clustered | None:
        if self.near is None:
            return None
        hashes = self.corpus.read_signals(item, "phash")["phash"]
        return self.near.read(item.index, hashes, rows)

    def _find_duplicates(
        self, item: SignalUnit, clustered: Clustered | None
    ) -> dict[str, npt.NDArray[np.bool_]]:
        """Rows that fall to a better copy, by reason, in the order in which a row takes one."""
        found = {}
        if self.exact is not None:
            levels = self.exact.read(item.index, item.pairs.rows)
            found = {f"duplicate_{name}": levels == n for n, name in enumerate(EXACT)}
        near = self.section.near_duplicates
        if clustered is not None and near is not None and near.action == "drop":
            dropped = np.zeros(item.pairs.rows, bool)
            dropped[clustered.rows[~clustered.keepers]] = True
            found["near_duplicate"] = dropped
        if self.semantic:
            dropped = np.zeros(item.pairs.rows, bool)
            dropped[join.read_answers(self.semantic, item.index)] = True
            found["semantic_duplicate"] = dropped
        return found

    def _read_keys(self, item: SignalUnit, clustered: Clustered | None) -> pa.ChunkedArray:
        """Per row what must not straddle the split."""
        if self.section.split_by == "pixel_hash":
            return self.corpus.read_pairs(item, "pixel_hash")["pixel_hash"]
        hashes = self.corpus.read_signals(item, "phash")["phash"]
        if self.section.split_by == "phash" or clustered is None:
            return hashes
        inside = np.zeros(len(hashes), bool)
        inside[clustered.rows] = True
        names = pa.array(clustered.members["cluster"].astype(np.uint64))
        return pa.chunked_array(
            [pc.replace_with_mask(hashes.combine_chunks(), pa.array(inside), names)]
        )


def plan_select(build: Build, done: Mapping[str, Manifest]) -> Job:
    """The select stage: find pairs that stand twice, judge each unit, compare, decide, list."""
    section, generation = build.recipe.select, _make_generation(build, done)
    files = zip(done["fetch"].files, done["score"].files, strict=True)
    units = tuple(SignalUnit(pairs, signals) for pairs, signals in files)
    steps, corpus = _plan_verdicts(build, generation, units)
    exact: ExactAnswers | None = None
    near: NearAnswers | None = None
    semantic: tuple[Output, ...] = ()
    more: tuple[Step, ...]
    listing = Listing()
    if section.eval_sets:
        more, overlap = _plan_overlap(build, corpus, units)
        listing += plan_eval_list(corpus, units, overlap)
        steps, corpus = (*steps, *more), replace(corpus, overlaps=overlap.answers)
    if section.exact_duplicates:
        more, exact = plan_exact_duplicates(corpus, units, section.exact_duplicates)
        steps = (*steps, *more)
    if section.near_duplicates is not None:
        max_distance = section.near_duplicates.max_distance
        more, near = plan_near_duplicates(corpus, units, max_distance)
        listing += plan_cluster_list(corpus, units, near, max_distance)
        steps = (*steps, *more)
    if section.semantic_duplicates is not None:
        more, semantic = plan_semantic_duplicates(corpus, units, section.semantic_duplicates)
        steps = (*steps, *more)
    decide = DecideUnit(corpus, section, generation.section_sha256, exact, near, semantic)
    return Job(
        (*steps, Step("Decide Rows", decide, units), *listing.steps),
        PublishFiles(
            generation,
            tuple(map(decide.output, units)),
            {"": done["fetch"].rows},
            REASONS,
            beside=listing.beside,
            facts=listing.facts,
            leftovers=(join.join_folder(generation.folder),),
        ),
    )


def _make_generation(build: Build, done: Mapping[str, Manifest]) -> Generation:
    semantic = build.recipe.select.semantic_duplicates is not None
    return Generation(
        stage="select",
        folder=build.folder("select"),
        recipe=build.recipe.to_dict(),
        section_sha256=_hash_section(build),
        inputs={
            "pairs": hash_entries(done["fetch"].files),
            "signals": hash_entries(done["score"].files),
        },
        packages=(*PACKAGES, "faiss-cpu") if semantic else PACKAGES,
    )


def _hash_section(build: Build) -> str:
    """What decides the stage's bytes besides its inputs: the section, its lists, its pictures."""
    section = build.recipe.select
    lists = [hash_file(file) for file in section.optout_lists]
    pictures = [chunk.sha256 for one in section.eval_sets for chunk in list_chunks(one)]
    return make_digest(build.recipe.section_sha256("select"), *lists, *pictures)


def _plan_overlap(
    build: Build, corpus: Corpus, units: tuple[SignalUnit, ...]
) -> tuple[tuple[Step, ...], OverlapAnswers]:
    recipe, limits = build.recipe, build.fetch
    kit = PictureKit(
        DecodeLimits(limits.max_pixels),
        StoredImage(recipe.fetch.stored_side_px, recipe.fetch.image_format),
        limits.decode_timeout_s,
        limits.decode_memory_bytes,
        limits.max_body_bytes,
    )
    hash_pictures = HashEvalPictures(corpus.folder, kit, _find_embedding_model(build))
    chunks = [list_chunks(one) for one in recipe.select.eval_sets]
    return plan_eval_overlap(corpus, units, recipe.select.eval_sets, chunks, hash_pictures)


def _find_embedding_model(build: Build) -> EmbeddingModel | None:
    """The model whose embeddings are compared, where a set asks for it."""
    if all(one.min_similarity is None for one in build.recipe.select.eval_sets):
        return None
    for name, model in build.recipe.score.models.items():
        if EMBEDDING in dict(model.columns):
            return EmbeddingModel(name, model, tuple(build.models[name].items()))
    return None


def _plan_verdicts(
    build: Build, generation: Generation, units: tuple[SignalUnit, ...]
) -> tuple[tuple[Step, ...], Corpus]:
    """The steps up to the rules' verdicts, and where those lie."""
    fetched, section = build.folder("fetch"), build.recipe.select
    entries = tuple(unit.pairs for unit in units)
    steps, twice = plan_pair_duplicates(fetched, generation.folder, entries)
    captions, counted = None, _find_counted(section)
    if "caption_count" in counted:
        more, captions = plan_caption_counts(fetched, generation.folder, entries)
        steps = (*steps, *more)
    judge = JudgeUnit(
        fetched,
        build.folder("score"),
        generation.folder,
        section,
        generation.section_sha256,
        twice,
        captions,
    )
    steps = (*steps, Step("Judge Rows", judge, units))
    verdicts = tuple(map(judge.output, units))
    return steps, Corpus(fetched, build.folder("score"), generation.folder, verdicts, counted)


def _find_counted(section: SelectSection) -> tuple[str, ...]:
    """The signals of the whole corpus that a rule reads."""
    read = {name for rule in section.rules for name in rule.signals}
    return tuple(name for name in CORPUS_SIGNAL_TYPES if name in read)
