"""A build of 90 rows, written by hand to show a report everything that it can show.

Every fifth row fails to be fetched, captions are hostile, rules drop some, others are near
duplicates or belong to an evaluation set. There are two sources: one of two units, one of one.
"""

import functools
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.torch
import torch

from pipelines.commit import Output, Written, commit_file, commit_table, hash_entries, publish
from pipelines.ledger import add_counts, count_outcomes
from pipelines.pairs import PAIRS_SCHEMA, make_pair_id
from pipelines.recipe import read_recipe
from tokens.dvae import Dvae, DvaeSizes
from tokens.dvae_file import dvae_bytes
from tokens.manifest import Manifest
from tokens.sequence import SequenceLayout
from tokens.shards import shard_schema, write_shard

UNIT_ROWS, UNITS = 30, 3
SIDE_PX = 16
LAYOUT = SequenceLayout(text_slots=8, grid_height=8, grid_width=8, image_vocab_size=16)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=http://evil.example/x onerror=alert(1)>',
    "\u202egnp.exe\u202c reversed",
    "never closed \u202e",
    "ten kilobytes " + "x" * 10_240,
    "</bdi></figure></section><h1>taken over",
    "controls \x00\x1b[31m\x85 and a form feed \x0c",
)
STAGES = ("fetch", "score", "select", "encode")
RECIPE = read_recipe(
    {
        "select": {
            "rules": [
                {"filter": "caption_length", "min_chars": 3, "min_words": 1},
                {"filter": "boilerplate", "max_ratio": 0.5},
                {"filter": "aspect_ratio"},
                {"filter": "short_side", "min_side_px": 256},
            ]
        }
    },
    "fixture",
)
SOURCES = [
    {
        "name": "http://a.example/<b>one</b>.csv",
        "license": "CC0-1.0",
        "caption": "title",
        "dialect": "csv",
        "first_unit": 0,
        "units": 2,
        "rows": 60,
    },
    {
        "name": "two.parquet",
        "license": None,
        "caption": "alt text",
        "dialect": "laion400m",
        "first_unit": 2,
        "units": 1,
        "rows": 30,
    },
]
NEAR_DUPLICATES = {
    "max_distance": 3,
    "clusters": 2,
    "largest": 3,
    "diameter_of_largest": 4,
    "pairs": 3,
    "file": "clusters.parquet",
}
EVAL_OVERLAP = [
    {"set": "birds", "pictures": 40, "overlapping": 2, "per_distance": {"0": 1, "5": 1, "12": 3}}
]
DETAILS = {"near_duplicates": NEAR_DUPLICATES, "eval_overlap": EVAL_OVERLAP}


def draw_picture(number):
    """A picture of its own, as it is stored: 16 to 40 px a side."""
    draws = np.random.default_rng(number)
    height, width = draws.integers(SIDE_PX, 40, 2)
    pixels = draws.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


def make_row(number):
    caption = HOSTILE[number // 2 % len(HOSTILE)] if number % 2 else f"picture {number}"
    url = f"http://pictures.example/{number}?<script>alert(2)</script>"
    fetched = number % 5 != 4
    row = dict.fromkeys(PAIRS_SCHEMA.names) | {
        "source": number // (2 * UNIT_ROWS),
        "row": number,
        "pair_id": make_pair_id(url, caption),
        "url": url,
        "caption": caption,
        "outcome": "ok" if fetched else ("http_404", "timeout")[number // 5 % 2],
    }
    if not fetched:
        return row | {"signal": f"X-Robots-Tag: <s>{number}</s>"}
    width, height = 300 + number, 280 if number % 10 != 8 else 200
    picture = {"original_width": width, "original_height": height}
    return row | {"image": draw_picture(number)} | picture


def decide(row):
    """How a row ends; the rules of RECIPE say the same of its signals."""
    number = row["row"]
    if row["outcome"] != "ok":
        return row["outcome"]
    if number % 10 == 3:
        return "boilerplate"
    if number % 10 == 8:
        return "short_side"
    return {12: "near_duplicate", 21: "eval_overlap"}.get(number % 30, "kept")


def split_of(row):
    return "val" if row["row"] % 10 == 0 else "train"


def make_signals(row):
    """What score would have measured; null where nothing was fetched."""
    number, fetched = row["row"], row["outcome"] == "ok"
    width, height = row["original_width"] or 0, row["original_height"] or 1
    measured = {
        "caption_chars": len(row["caption"].strip()),
        "caption_words": len(row["caption"].split()),
        "boilerplate_ratio": 0.75 if number % 10 == 3 else number % 7 / 16,
        "cld3_language": ("en", "de", "la")[number % 3],
        "cld2_language": "un" if number % 4 else "en",
        "width": width,
        "height": height,
        "aspect_ratio": width / height,
        "short_side_px": min(width, height),
    }
    return {"pair_id": row["pair_id"]} | (measured if fetched else dict.fromkeys(measured))


SIGNALS_SCHEMA = pa.schema(
    [
        pa.field("pair_id", pa.binary(16)),
        pa.field("caption_chars", pa.int32()),
        pa.field("caption_words", pa.int32()),
        pa.field("boilerplate_ratio", pa.float32()),
        pa.field("cld3_language", pa.string()),
        pa.field("cld2_language", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("aspect_ratio", pa.float64()),
        pa.field("short_side_px", pa.int32()),
    ]
)


def make_decisions(unit):
    reasons = [decide(row) for row in unit]
    splits = [split_of(row) if decide(row) == "kept" else None for row in unit]
    return pa.table(
        {
            "pair_id": pa.array([row["pair_id"] for row in unit], pa.binary(16)),
            "reason": pa.array(reasons, pa.string()),
            "split": pa.array(splits, pa.string()),
        }
    )


RULE_SIDE = {
    "seconds": 1.5,
    "rules": {
        "caption_length": {"fires": 0, "only": 0, "seconds": 0.25},
        "boilerplate": {"fires": 3, "only": 2, "seconds": 0.5},
        "aspect_ratio": {"fires": 1, "only": 0, "seconds": 0.125},
        "short_side": {"fires": 4, "only": 3, "seconds": 0.0625},
    },
    "together": {"boilerplate aspect_ratio": 1, "boilerplate short_side": 1},
}
SCORE_SIDE = {
    "seconds": 1.5,
    "signals": {"caption_chars": 0.5, "boilerplate_ratio": 1.0, "width": 0.25},
}


def write_stage(directory, stage, folder, tables, inputs, counted=None, details=None, side=None):
    """Commit one file a table and publish the stage's manifest."""
    entries = tuple(
        commit_table(
            Output(f"{directory}/{folder}", f"{index:05d}-{stage}.parquet", index=index),
            table,
            Written(
                len(table),
                count_outcomes(table[counted]) if counted else {},
                count_outcomes(table["split"].drop_null()) if "split" in table.column_names else {},
                side or {"seconds": 1.5},
            ),
        )
        for index, table in enumerate(tables)
    )
    recipe = RECIPE.to_dict()
    manifest = Manifest(
        stage, 0, entries, add_counts(entries), recipe, "section", inputs, details or {}
    )
    return publish(f"{directory}/{folder}", manifest)


def write_corpus(directory, until="encode", is_new=True):
    """The build as far as a stage; returns its rows.

    Args:
        is_new: units and manifests tell of sources, rules and likenesses; older builds did not.
    """
    wanted = STAGES[: STAGES.index(until) + 1]
    rows = [make_row(number) for number in range(UNIT_ROWS * UNITS)]
    units = [rows[start : start + UNIT_ROWS] for start in range(0, len(rows), UNIT_ROWS)]
    tables = [pa.Table.from_pylist(unit, schema=PAIRS_SCHEMA) for unit in units]
    told = {"sources": SOURCES} if is_new else {}
    urls = [table.select(["url"]) for table in tables]
    read = write_stage(directory, "rows", "rows", urls, {}, details=told)
    inputs = {"rows": hash_entries(read.files)}
    fetched = write_stage(directory, "fetch", "pairs", tables, inputs, "outcome")
    inputs = {"pairs": hash_entries(fetched.files)}
    if "score" in wanted:
        signals = [
            pa.Table.from_pylist([make_signals(row) for row in unit], SIGNALS_SCHEMA)
            for unit in units
        ]
        side = SCORE_SIDE if is_new else None
        scored = write_stage(directory, "score", "signals", signals, inputs, side=side)
        inputs |= {"signals": hash_entries(scored.files)}
    if "select" in wanted:
        decided = write_decisions(directory, units, inputs, is_new)
    if "encode" in wanted:
        inputs = {"pairs": inputs["pairs"], "decisions": hash_entries(decided.files)}
        write_tokens(directory, [row for row in rows if decide(row) == "kept"], inputs)
    return rows


def write_decisions(directory, units, inputs, is_new):
    tables = [make_decisions(unit) for unit in units]
    details, side = (DETAILS, RULE_SIDE) if is_new else ({}, None)
    decided = write_stage(directory, "select", "decisions", tables, inputs, "reason", details, side)
    if is_new:
        write_likenesses(Path(directory, "decisions"))
    return decided


def write_likenesses(folder):
    """Two clusters, of rows 10 to 12 and 40 and 42, and three evaluation pictures."""
    members = [(7, 10, 0), (7, 12, 3), (7, 11, 2), (-9, 40, 0), (-9, 42, 1)]
    clusters = [
        {
            "cluster": cluster,
            "unit": row // UNIT_ROWS,
            "row": row % UNIT_ROWS,
            "pair_id": make_row(row)["pair_id"],
            "distance_to_keeper": distance,
            "kept": distance == 0,
        }
        for cluster, row, distance in members
    ]
    pq.write_table(pa.Table.from_pylist(clusters), folder / "clusters.parquet")
    nearest = [("<i>far</i>", 22, 12, None), ("near", 51, 0, 0.75), ("near", 21, 5, 0.5)]
    overlap = [
        {
            "set": "birds",
            "picture": name,
            "unit": row // UNIT_ROWS,
            "row": row % UNIT_ROWS,
            "pair_id": make_row(row)["pair_id"],
            "distance": distance,
            "similarity": similarity,
            "thumbnail": draw_picture(1000 + row),
        }
        for name, row, distance, similarity in nearest
    ]
    pq.write_table(pa.Table.from_pylist(overlap), folder / "eval_overlap.parquet")


def write_tokens(directory, kept, inputs):
    details = {
        "side_px": SIDE_PX,
        "views": 1,
        "text_slots": LAYOUT.text_slots,
        "text_vocab_size": LAYOUT.text_vocab_size,
        "grid_height": LAYOUT.grid_height,
        "grid_width": LAYOUT.grid_width,
        "image_vocab_size": LAYOUT.image_vocab_size,
        "image_tokenizer_name": "tiny",
    }
    entries = []
    for split in ("train", "val"):
        table = make_shard([row for row in kept if split_of(row) == split])
        output = Output(f"{directory}/tokens", f"{split}/view0-00000.parquet", f"{split}/view0")
        written = Written(len(table), side={"seconds": 2.0})
        entries.append(commit_file(output, functools.partial(write_shard, table=table), written))
    recipe = RECIPE.to_dict()
    manifest = Manifest("encode", 0, tuple(entries), {}, recipe, "section", inputs, details)
    publish(f"{directory}/tokens", manifest)
    write_tokenizer(Path(directory, "tokens", "tokenizers", "image.safetensors"))


def write_tokenizer(file, part=""):
    """A dVAE of random weights; `part` names the half that the file holds."""
    torch.manual_seed(0)
    sizes = DvaeSizes(vocab_size=16, hidden=4, decoder_init=4, group_count=2, blocks_per_group=1)
    file.parent.mkdir(exist_ok=True)
    weights = safetensors.torch.load(dvae_bytes(Dvae(sizes), {}))
    half = {name: tensor for name, tensor in weights.items() if name.startswith(part)}
    file.write_bytes(safetensors.torch.save(half))


def make_shard(rows):
    draws = np.random.default_rng(7)
    lengths = [row["row"] % 9 for row in rows]
    columns = dict.fromkeys(shard_schema(LAYOUT, 0).names, [None] * len(rows)) | {
        "pair_id": [row["pair_id"] for row in rows],
        "view": [0] * len(rows),
        "text_tokens": [list(range(length)) for length in lengths],
        "text_truncated": [length == 8 for length in lengths],
        "image_codes": draws.integers(0, 10, (len(rows), LAYOUT.num_codes)).tolist(),
        "caption": [row["caption"] for row in rows],
    }
    return pa.table(columns, schema=shard_schema(LAYOUT, 0))
