"""Encode: kept pairs become tokens, captions by BPE and pictures by the dVAE, in shuffled shards.

Four steps over committed files: the order of the kept pairs is found and cut into shards
(`pipelines.shuffle`), each unit is encoded into a run file, each shard collects its rows. Before
the third, codes that are not the reference's are compared with it
(`pipelines.encoding.code_agreement`). On CPUs a process per core encodes; on GPUs a process per
GPU, for which threads decode and crop.
Training pairs are seen in `views` near-centre crops with BPE dropout, validation pairs in one
centre crop without (Ramesh et al. 2021, section 2.2, appendix B.2, Listing 2).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.masking import mask_personal_data
from pipelines import progress, shuffle
from pipelines.commit import Output, Written, commit_file, hash_entries, make_digest, make_key
from pipelines.corpus import Build, Tokenizers
from pipelines.encoding.code_agreement import OF_THE_REFERENCE, CompareCodes, first_units
from pipelines.encoding.loaded_tokenizers import load_image, load_text
from pipelines.encoding.read_ahead import feeding_threads, map_ahead
from pipelines.kept_pairs import KeptPairs, UnitPair, pair_up
from pipelines.publishing import Generation, PublishFiles
from pipelines.recipe import Recipe
from pipelines.steps import Job, Step, Stopwatch
from tokens.bundled import IMAGE_FILE, TEXT_FILE
from tokens.crops import centre_crop, listing2_crop
from tokens.draw import keyed_generator
from tokens.image import ImageTokenizer
from tokens.manifest import Manifest
from tokens.numerics import REFERENCE, Numerics, count_gpus
from tokens.pixels import read_stored
from tokens.sequence import SequenceLayout, code_dtype
from tokens.shards import PROVENANCE, shard_schema
from tokens.text import TextTokenizer

PACKAGES = (
    "numpy",
    "opencv-python-headless",
    "pyarrow",
    "tiktoken",
    "tokenizers",
    "torch",
    "xxhash",
)


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """What decides the tokens of a pair."""

    layout: SequenceLayout
    side_px: int
    views: int
    bpe_dropout: float
    seed: int
    text_tokenizer: str
    """fsspec URL."""
    image_tokenizer: str
    """fsspec URL."""
    masks: tuple[str, ...] = ()
    """Kinds of personal data that are masked in captions."""
    numerics: Numerics = REFERENCE
    """The arithmetic that image codes are made in."""

    def views_of(self, split: str) -> range:
        return range(self.views if split == "train" else 1)


def encode_captions(
    tokenizer: TextTokenizer,
    captions: Sequence[str],
    keys: Sequence[bytes],
    settings: EncodeSettings,
    *,
    dropout: float,
) -> tuple[pa.Array, pa.Array]:
    """BPE ids (list<uint16>) of captions, and whether each was cut to the text slots."""
    tokens = tokenizer.encode(
        captions,
        max_tokens=settings.layout.text_slots,
        dropout=dropout,
        keys=keys,
        seed=settings.seed,
    )
    offsets = pa.array(tokens.offsets.astype(np.int32))
    return (
        pa.ListArray.from_arrays(offsets, pa.array(tokens.ids, pa.uint16())),
        pa.array(tokens.truncated),
    )


def encode_pictures(
    tokenizer: ImageTokenizer, crops: Iterator[npt.NDArray[np.uint8]], rows: int
) -> npt.NDArray[Any]:
    """Codes of `rows` square crops (side, side, 3): (rows, height x width), raster order."""
    codes = []
    for codes_hw in tokenizer.encode_each(crops):
        codes.append(codes_hw.ravel())
        progress.advance(1)
    assert len(codes) == rows
    return np.stack(codes)


def crop_view(
    pixels: npt.NDArray[np.uint8], pair_id: bytes, split: str, view: int, settings: EncodeSettings
) -> npt.NDArray[np.uint8]:
    """A near-centre crop for training, the centre for validation: (side, side, 3)."""
    if split == "val":
        return centre_crop(pixels, settings.side_px)
    draws = keyed_generator(pair_id, f"crop/{view}", settings.seed)
    return listing2_crop(pixels, settings.side_px, draws)


def encode_rows(
    kept: pa.Table,
    split: str,
    view: int,
    settings: EncodeSettings,
    text: TextTokenizer,
    image: ImageTokenizer,
) -> pa.Table:
    """Tokens of kept pairs of one split in one view, row i of row i, in the shards' schema.

    Captions are masked first, as the settings say; `pair_id` stays that of the caption as given.

    Args:
        kept: `pair_id`, `caption`, `image` and the provenance columns.
    """
    pair_ids = kept["pair_id"].to_pylist()
    captions = mask_personal_data(kept["caption"].combine_chunks(), settings.masks)
    lists, cut = encode_captions(
        text,
        captions.to_pylist(),
        [pair_id + bytes([view]) for pair_id in pair_ids],
        settings,
        dropout=settings.bpe_dropout if split == "train" else 0.0,
    )
    crops = map_ahead(
        lambda pair: crop_view(read_stored(pair[0].as_py()), pair[1], split, view, settings),
        zip(kept["image"], pair_ids, strict=True),
        feeding_threads(image.numerics),
    )
    codes = encode_pictures(image, crops, len(kept)).astype(code_dtype(image.vocab_size))
    columns: dict[str, Any] = {
        "pair_id": kept["pair_id"],
        "view": pa.repeat(pa.scalar(view, pa.int8()), len(kept)),
        "text_tokens": lists,
        "text_truncated": cut,
        "image_codes": pa.FixedSizeListArray.from_arrays(pa.array(codes.ravel()), codes.shape[1]),
        "caption": captions,
    } | {name: kept[name] for name in PROVENANCE.names}
    schema = shard_schema(settings.layout, view)
    return pa.table([columns[field.name].cast(field.type) for field in schema], schema=schema)


@dataclass(frozen=True, slots=True)
class EncodeUnit:
    """One unit's kept pairs into a run file, all splits and views."""

    kept: KeptPairs
    folder: str
    section_sha256: str
    settings: EncodeSettings
    cuts: Output
    gpu: int = 0
    """Which one, where codes are made on GPUs."""

    def on_process(self, number: int) -> "EncodeUnit":
        """As process `number` of a machine does it: with a GPU of its own."""
        return replace(self, gpu=number)

    def output(self, item: UnitPair) -> Output:
        key = make_key(self.section_sha256, item.sha256, self.cuts.name)
        folder = shuffle.run_folder(self.folder)
        return Output(folder, f"run-{item.index:05d}-{key}.arrow", index=item.index)

    def rows(self, item: UnitPair) -> int:
        splits = item.decisions.splits
        return sum(rows * len(self.settings.views_of(split)) for split, rows in splits.items())

    def __call__(self, item: UnitPair) -> None:
        watch = Stopwatch()
        cuts = shuffle.read_cuts(self.cuts)
        pieces: dict[str, pa.Table] = {}
        columns = ("pair_id", "caption", "image", *PROVENANCE.names)
        pairs, splits = self.kept.read(item, columns)
        for split in shuffle.SPLITS:
            kept = pairs.filter(pc.equal(splits, split))
            if len(kept):
                pieces |= self._encode_split(kept, split, cuts[split])
        commit_file(
            self.output(item),
            lambda sink: shuffle.write_run(sink, pieces),
            Written(self.rows(item), side={"seconds": watch.seconds()}),
        )

    def _encode_split(
        self, kept: pa.Table, split: str, cuts: Sequence[str]
    ) -> Mapping[str, pa.Table]:
        settings = self.settings
        text = load_text(settings.text_tokenizer)
        image = load_image(settings.image_tokenizer, settings.numerics, self.gpu)
        keys = shuffle.order_keys(kept["pair_id"], settings.seed)
        pieces: dict[str, pa.Table] = {}
        for view in settings.views_of(split):
            table = encode_rows(kept, split, view, settings, text, image)
            pieces |= shuffle.split_by_shard(table, keys, cuts, f"{split}/view{view}")
        return pieces


def plan_encode(build: Build, done: Mapping[str, Manifest]) -> Job:
    """The encode stage: from decisions to shards."""
    assert build.tokenizers is not None
    folder, pairs, decisions = build.folder("encode"), done["fetch"], done["select"]
    settings = _settings(build.recipe, build.tokenizers)
    section_sha256 = make_digest(build.recipe.section_sha256("encode"), build.tokenizers.sha256)
    kept: dict[str, int] = {split: decisions.splits.get(split, 0) for split in shuffle.SPLITS}
    order = shuffle.OrderUnit(build.folder("select"), folder, sum(kept.values()), settings.seed)
    orders = tuple(order.output(entry) for entry in decisions.files)
    cut = shuffle.CutShards(folder, orders, sum(kept.values()))
    chosen = KeptPairs(build.folder("fetch"), build.folder("select"))
    encode = EncodeUnit(chosen, folder, section_sha256, settings, cut.output(0))
    units = pair_up(pairs, decisions)
    compare, facts = _plan_comparison(encode, units)
    collect = shuffle.CollectShard(folder, settings.layout, tuple(map(encode.output, units)))
    shards = tuple(_list_shards(settings, kept))
    generation = Generation(
        stage="encode",
        folder=folder,
        recipe=build.recipe.to_dict(),
        section_sha256=section_sha256,
        inputs={"pairs": hash_entries(pairs.files), "decisions": hash_entries(decisions.files)},
        details=build.tokenizers.details | ({} if facts else OF_THE_REFERENCE),
        packages=PACKAGES,
    )
    return Job(
        (
            Step("Order Pairs", order, decisions.files),
            Step("Cut Shards", cut, (0,)),
            *compare,
            Step("Encode Pairs", encode, units, _max_processes(settings.numerics)),
            Step("Write Shards", collect, shards),
        ),
        PublishFiles(
            generation,
            tuple(collect.output(shard) for shard in shards),
            {shard.group: kept[shard.split] for shard in shards},
            copies=(
                (build.tokenizers.text, f"tokenizers/{TEXT_FILE}"),
                (build.tokenizers.image, f"tokenizers/{IMAGE_FILE}"),
            ),
            facts=facts,
            leftovers=(shuffle.run_folder(folder),),
        ),
    )


def _settings(recipe: Recipe, tokenizers: Tokenizers) -> EncodeSettings:
    section = recipe.encode
    return EncodeSettings(
        layout=tokenizers.layout,
        side_px=section.side_px,
        views=section.views,
        bpe_dropout=section.bpe_dropout,
        seed=section.seed,
        text_tokenizer=tokenizers.text,
        image_tokenizer=tokenizers.image,
        masks=section.mask_personal_data,
        numerics=tokenizers.numerics,
    )


def _plan_comparison(
    encode: EncodeUnit, units: tuple[UnitPair, ...]
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """The step that compares codes with the reference's, and the file of what it finds; none where
    they are the reference's."""
    settings = encode.settings
    if settings.numerics == REFERENCE:
        return (), ()
    compare = CompareCodes(
        encode.kept,
        encode.folder,
        encode.section_sha256,
        settings.image_tokenizer,
        settings.numerics,
        settings.side_px,
    )
    item = first_units(units)
    return (Step("Compare Codes", compare, (item,)),), (compare.output(item).url,)


def _max_processes(numerics: Numerics) -> int | None:
    """One for each of this machine's GPUs; on CPUs one for each core, as the engine has them."""
    return max(1, count_gpus()) if numerics.device == "cuda" else None


def _list_shards(settings: EncodeSettings, kept: Mapping[str, int]) -> Iterator[shuffle.Shard]:
    for split in shuffle.SPLITS:
        for view in settings.views_of(split):
            for index, rows in enumerate(shuffle.shard_sizes(kept[split])):
                yield shuffle.Shard(split, view, index, rows)
