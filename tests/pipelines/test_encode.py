from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.masking import PERSONAL_DATA
from pipelines.encode import EncodeSettings, encode_captions, encode_rows
from pipelines.imaging import store_image
from pipelines.recipe_sections import EncodeSection
from tokens.bundled import BUNDLED
from tokens.manifest import read_manifest, read_table
from tokens.sequence import SequenceLayout
from tokens.shards import PROVENANCE
from tokens.text import load_text_tokenizer

SIDE_PX = 16
TOKENIZER = load_text_tokenizer(BUNDLED)


class PlainCodes:
    """An image tokenizer whose codes are all 0."""

    vocab_size = 8
    numerics = "fp32-cpu"

    def encode_each(self, images):
        for _ in images:
            yield np.zeros((SIDE_PX // 8, SIDE_PX // 8), np.int64)


def encode_caption(caption, masks):
    side = SIDE_PX // 8
    layout = SequenceLayout(text_slots=64, grid_height=side, grid_width=side, image_vocab_size=8)
    settings = EncodeSettings(layout, SIDE_PX, 1, 0.0, 0, BUNDLED, "none", masks)
    pixels = np.full((SIDE_PX, SIDE_PX, 3), 200, np.uint8)
    data, *_ = store_image(pixels, SIDE_PX, "png", (SIDE_PX, SIDE_PX))
    columns = {field.name: pa.nulls(1, field.type) for field in PROVENANCE}
    kept = pa.table({"pair_id": [b"p" * 16], "caption": [caption], "image": [data], **columns})
    kept = kept.set_column(0, "pair_id", kept["pair_id"].cast(pa.binary(16)))
    (row,) = encode_rows(kept, "val", 0, settings, TOKENIZER, PlainCodes()).to_pylist()
    return row, TOKENIZER.decode(row["text_tokens"])


def test_a_masked_caption_is_masked_in_tokens_and_text_and_keeps_its_id():
    row, decoded = encode_caption("Ann, ann@example.org, 10.0.0.1", ("email",))
    assert row["caption"] == "Ann, <email>, 10.0.0.1"
    assert decoded == row["caption"].lower()
    assert row["pair_id"] == b"p" * 16


def test_a_caption_is_as_given_where_the_recipe_masks_nothing():
    row, decoded = encode_caption("Ann, ann@example.org", ())
    assert row["caption"] == "Ann, ann@example.org" and decoded == "ann, ann@example.org"


pieces = st.sampled_from(
    ["Ann", "bob@example.org", "10.0.0.1", "https://u:p@h.example/x", "é 7", ""]
)


@settings(deadline=None, max_examples=40)
@given(st.lists(pieces | st.text(max_size=90), max_size=6), st.sets(st.sampled_from(PERSONAL_DATA)))
def test_the_caption_in_the_shard_is_exactly_the_one_whose_tokens_stand_there(parts, masks):
    text = " ".join(parts).encode(errors="ignore").decode()
    row, _ = encode_caption(text, tuple(masks))
    again = TOKENIZER.encode([row["caption"]], max_tokens=64)
    assert row["text_tokens"] == again.ids.tolist()
    assert row["text_truncated"] == again.truncated.item()


@pytest.mark.parametrize("group", ["train/view0", "train/view1", "val/view0"])
def test_a_builds_captions_give_its_tokens_again(finished_build, group):
    folder = str(finished_build / "tokens")
    manifest = read_manifest(folder)
    tokenizer = load_text_tokenizer(f"{folder}/tokenizers/text.json")
    assert manifest.details["text_tokenizer_sha256"] == tokenizer.sha256
    section = manifest.recipe["encode"]
    for entry in manifest.group(group):
        table = read_table(folder, entry)
        again = tokenizer.encode(
            table["caption"].to_pylist(),
            max_tokens=section["text_slots"],
            dropout=section["bpe_dropout"] if group != "val/view0" else 0.0,
            keys=[pair_id + bytes([int(group[-1])]) for pair_id in table["pair_id"].to_pylist()],
            seed=section["seed"],
        )
        assert table["text_tokens"].combine_chunks().flatten().equals(pa.array(again.ids))


def test_ids_reach_arrow_without_a_copy():
    settings_ = EncodeSettings(SequenceLayout(text_slots=9), 8, 1, 0.0, 0, BUNDLED, "none", ())
    tokens = TOKENIZER.encode(["a red boat"])
    tokenizer = SimpleNamespace(encode=lambda *_, **__: tokens)
    lists, _ = encode_captions(tokenizer, ["a red boat"], [b"k"], settings_, dropout=0.0)
    assert lists.values.buffers()[1].address == tokens.ids.__array_interface__["data"][0]


def test_a_kind_that_there_is_not_is_named_with_the_nearest():
    assert EncodeSection(mask_personal_data=("email",)).mask_personal_data == ("email",)
    with pytest.raises(ValueError, match="names 'mail', .* the nearest is 'email'"):
        EncodeSection(mask_personal_data=("mail",))
