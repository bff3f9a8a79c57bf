import numpy as np
import pyarrow as pa
import pytest

from pipelines.encode import EncodeSettings, encode_rows
from pipelines.imaging import store_image
from pipelines.recipe_sections import EncodeSection
from tokens.bundled import BUNDLED
from tokens.sequence import SequenceLayout
from tokens.shards import PROVENANCE
from tokens.text import load_text_tokenizer

SIDE_PX = 16


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
    text = load_text_tokenizer(BUNDLED)
    (row,) = encode_rows(kept, "val", 0, settings, text, PlainCodes()).to_pylist()
    return row, text.decode(row["text_tokens"])


def test_a_masked_caption_is_masked_in_tokens_and_text_and_keeps_its_id():
    row, decoded = encode_caption("Ann, ann@example.org, 10.0.0.1", ("email",))
    assert row["caption"] == "Ann, <email>, 10.0.0.1"
    assert decoded == row["caption"].lower()
    assert row["pair_id"] == b"p" * 16


def test_a_caption_is_as_given_where_the_recipe_masks_nothing():
    row, decoded = encode_caption("Ann, ann@example.org", ())
    assert row["caption"] == "Ann, ann@example.org" and decoded == "ann, ann@example.org"


def test_a_kind_that_there_is_not_is_named_with_the_nearest():
    assert EncodeSection(mask_personal_data=("email",)).mask_personal_data == ("email",)
    with pytest.raises(ValueError, match="names 'mail', .* the nearest is 'email'"):
        EncodeSection(mask_personal_data=("mail",))
