"""One build, settled before anything runs: recipe, sources, limits, tokenizers, folders."""

import argparse
from dataclasses import dataclass
from typing import Any

from pipelines.doors import BadInput
from pipelines.inputs.source import Source
from pipelines.inputs.source_list import settle_sources
from pipelines.options import REMOTE_WORKERS, STAGES, is_local
from pipelines.recipe import Recipe, load_recipe
from pipelines.recipe_sections import EncodeSection, SelectSection
from pipelines.selecting.duplicate_sections import require_faiss
from pipelines.selecting.eval_sets import list_chunks
from pipelines.web.addresses import AddressGuard
from pipelines.web.lists import load_lists
from pipelines.web.settings import FetchSettings
from tokens.bundled import DVAE_FILE, TEXT_FILE, locate
from tokens.manifest import join_url
from tokens.numerics import Numerics, count_gpus, settle_numerics
from tokens.sequence import SequenceLayout

FOLDERS = {"fetch": "pairs", "score": "signals", "select": "decisions", "encode": "tokens"}


@dataclass(frozen=True, slots=True)
class Tokenizers:
    """The two tokenizers of a build, found, loaded once and hashed."""

    text: str
    """fsspec URL."""
    image: str
    """fsspec URL."""
    layout: SequenceLayout
    numerics: Numerics
    """The arithmetic that image codes are made in."""
    details: dict[str, Any]
    """What the tokens manifest says of them."""

    @property
    def sha256(self) -> str:
        """All that decides tokens: other arithmetic makes them stale as another file does."""
        names = ("text_tokenizer_sha256", "image_tokenizer_sha256", "numerics")
        return " ".join(str(self.details[name]) for name in names)


@dataclass(frozen=True, slots=True)
class Build:
    """Everything that a stage's plan needs to know."""

    directory: str
    recipe: Recipe
    sources: tuple[Source, ...]
    stages: tuple[str, ...]
    limit: int | None
    fetch: FetchSettings
    fetch_engine: str
    """pairmill or img2dataset: what brings the bytes."""
    models: dict[str, dict[str, str]]
    """What decides the numbers of the score stage's models, by their table in the recipe."""
    tokenizers: Tokenizers | None
    """None where the build stops before encode."""

    def folder(self, stage: str) -> str:
        return join_url(self.directory, FOLDERS[stage])


def settle(args: argparse.Namespace) -> Build:
    """Check everything that a build will need, and load nothing twice.

    Raises:
        BadInput: in one sentence, before a folder is made or an address dialled.
    """
    try:
        recipe = load_recipe(args.recipe)
        stages = STAGES[: STAGES.index(args.until) + 1]
        if "select" in stages:
            _check_select(recipe.select)
        return Build(
            directory=args.output,
            recipe=recipe,
            sources=settle_sources(args),
            stages=stages,
            limit=args.limit,
            fetch=settle_fetch(recipe, args, args.output),
            fetch_engine=args.fetch_engine,
            models=_find_models(recipe) if "score" in stages else {},
            tokenizers=_settle_tokenizers(recipe, args) if "encode" in stages else None,
        )
    except (ValueError, OSError) as err:
        raise BadInput(str(err)) from err


def _check_select(section: SelectSection) -> None:
    """Read the lists and the evaluation sets that select will need; a fault is told here."""
    if section.semantic_duplicates is not None:
        require_faiss()
    load_lists(section.optout_lists, ())
    for one in section.eval_sets:
        list_chunks(one)


def _find_models(recipe: Recipe) -> dict[str, dict[str, str]]:
    return {name: model.find() for name, model in recipe.score.models.items()}


def settle_fetch(recipe: Recipe, args: argparse.Namespace, directory: str) -> FetchSettings:
    """The fetcher's limits: the recipe's, and what the command line says of this run.

    Args:
        directory: of the build, whose tombstones hold.

    Raises:
        ValueError: a contact, network, port or list that is none, or an engine that is not there.
    """
    limits = recipe.fetch
    if args.fetch_engine == "img2dataset":
        from pipelines.web.img2dataset_engine import require_img2dataset  # with it comes aiohttp

        require_img2dataset()
    # Workers read the lists; a fault in them is told here.
    load_lists(limits.optout_lists, limits.blocklists, directory)
    return FetchSettings(
        contact=args.contact,
        guard=_make_guard(args.allow_network, args.allow_port),
        connect_timeout_s=limits.connect_timeout_s,
        total_timeout_s=limits.total_timeout_s,
        max_redirects=limits.max_redirects,
        max_body_bytes=limits.max_bytes,
        max_pixels=limits.max_pixels,
        max_retries=limits.retries,
        total_concurrency=limits.concurrency,
        host_concurrency=limits.per_host_concurrency,
        host_delay_s=limits.host_delay_s,
        host_budget_s=limits.host_budget_s,
        decode_timeout_s=limits.decode_timeout_s,
        verify_hash=limits.verify_hash,
        optout_lists=limits.optout_lists,
        blocklists=limits.blocklists,
        tombstones=directory,
        workers=args.fetch_workers or _guess_workers(args),
    )


def _guess_workers(args: argparse.Namespace) -> int:
    return int(args.direct_num_workers) if is_local(args.runner) else REMOTE_WORKERS


def _make_guard(networks: list[str], ports: list[int]) -> AddressGuard:
    public = AddressGuard()
    return AddressGuard(tuple(networks), (*public.allow_ports, *ports))


def _settle_tokenizers(recipe: Recipe, args: argparse.Namespace) -> Tokenizers:
    section = recipe.encode
    image_path = args.image_tokenizer or section.image_tokenizer
    if image_path is None:
        raise BadInput(
            f"recipe {recipe.name} names no image tokenizer: give --image_tokenizer FILE, a dVAE "
            "as safetensors (OpenAI publishes its encoder, to be converted, at "
            "https://cdn.openai.com/dall-e/encoder.pkl), one that model/train_dvae.py has trained, "
            "or 'bundled', the small one that comes with pairmill"
        )
    from tokens.image import load_image_tokenizer  # imports torch, which only encode needs
    from tokens.text import load_text_tokenizer

    text_path = args.text_tokenizer or section.text_tokenizer
    numerics = _settle_numerics(section, is_local(args.runner))
    text, image = load_text_tokenizer(text_path), load_image_tokenizer(image_path)
    height, width = image.grid(section.side_px)
    layout = SequenceLayout(
        text_slots=section.text_slots,
        text_vocab_size=text.vocab_size,
        grid_height=height,
        grid_width=width,
        image_vocab_size=image.vocab_size,
    )
    details = {
        "side_px": section.side_px,
        "views": section.views,
        "text_slots": layout.text_slots,
        "text_vocab_size": layout.text_vocab_size,
        "text_tokenizer_sha256": text.sha256,
        "grid_height": height,
        "grid_width": width,
        "image_vocab_size": layout.image_vocab_size,
        "image_tokenizer_name": image.name,
        "image_tokenizer_sha256": image.sha256,
        "image_tokenizer_licence": image.licence,
        "numerics": str(numerics),
    }
    urls = locate(text_path, TEXT_FILE), locate(image_path, DVAE_FILE)
    return Tokenizers(*urls, layout, numerics, details)


def _settle_numerics(section: EncodeSection, local: bool) -> Numerics:
    """The arithmetic of a build; of the machines of a remote runner the recipe alone knows.

    Raises:
        ValueError: this machine has no GPU, or no compiler, for it.
    """
    named_gpu = section.device == "cuda" or section.numerics == "fp16"
    num_gpus = count_gpus() if local else int(named_gpu)
    numerics = settle_numerics(section.numerics, section.device, num_gpus)
    if local and numerics.is_compiled:
        from tokens.compiling import require_compiler

        require_compiler()
    return numerics
