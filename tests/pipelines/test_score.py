import cv2
import numpy as np
import pyarrow as pa
import pytest

from filters.signals import SIGNAL_TYPES
from filters.signals.perceptual_hash import perceptual_hash
from pipelines.score import PAIR_COLUMNS, score_pairs, signal_schema

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
ROWS = [
    ("A cat asleep on the kitchen table", PICTURE),
    ("photographed on 12 May 1999", None),
    (None, PICTURE),
    (None, None),
    ("Il gatto dorme sul tavolo della cucina", PICTURE[::-1]),
]


def as_png(pixels):
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()


def make_pairs(rows):
    """A unit's pairs, of pictures that were 400 x 600 px before they were stored."""
    there = [picture is not None for _, picture in rows]
    return pa.table(
        {
            "pair_id": pa.array([bytes([row] * 16) for row in range(len(rows))], pa.binary(16)),
            "caption": pa.array([caption for caption, _ in rows], pa.string()),
            "image": pa.array([None if p is None else as_png(p) for _, p in rows], pa.binary()),
            "original_width": pa.array([600 if it else None for it in there], pa.int32()),
            "original_height": pa.array([400 if it else None for it in there], pa.int32()),
            "body_bytes": pa.array([5_000 if it else None for it in there], pa.int32()),
            "jpeg_quality": pa.array([85 if it else None for it in there], pa.uint8()),
            "transparency_ratio": pa.array([0.5 if it else None for it in there], pa.float32()),
            "animated": pa.array([True if it else None for it in there], pa.bool_()),
        }
    )


def test_reads_the_columns_that_it_names():
    assert tuple(make_pairs(ROWS).column_names) == PAIR_COLUMNS


def test_row_of_signals_belongs_to_the_row_of_the_pair():
    pairs = make_pairs(ROWS)
    signals = score_pairs(pairs)
    assert signals.schema == signal_schema()
    assert signals["pair_id"].to_pylist() == pairs["pair_id"].to_pylist()
    assert signals["caption_words"].to_pylist() == [7, 5, None, None, 7]
    assert signals["boilerplate_ratio"].to_pylist() == [0.0, 1.0, None, None, 0.0]
    assert signals["cld2_language"].to_pylist() == ["en", "en", None, None, "it"]
    assert signals["short_side_px"].to_pylist() == [400, None, 400, None, 400]
    seen, mirrored = perceptual_hash(PICTURE), perceptual_hash(np.ascontiguousarray(PICTURE[::-1]))
    assert signals["phash"].to_pylist() == [seen, None, seen, None, mirrored]


def test_every_signal_is_null_where_there_is_nothing_to_measure():
    signals = score_pairs(make_pairs(ROWS))
    for name in SIGNAL_TYPES:
        assert signals[name][3].as_py() is None
        assert signals[name].null_count == 2


@pytest.mark.parametrize("names", [("phash",), ("cld3_probability", "width"), ()])
def test_measures_the_named_signals_alone(names):
    pairs = make_pairs(ROWS)
    signals = score_pairs(pairs, {name: SIGNAL_TYPES[name] for name in names})
    assert signals.column_names == ["pair_id", *names]
    assert signals == score_pairs(pairs).select(["pair_id", *names])


def test_a_unit_without_rows_has_the_same_columns():
    assert score_pairs(make_pairs(ROWS).slice(0, 0)).schema == signal_schema()


def test_a_cut_into_chunks_changes_nothing():
    pairs = make_pairs(ROWS)
    chunked = pa.concat_tables([pairs.slice(0, 2), pairs.slice(2, 1), pairs.slice(3)])
    assert score_pairs(chunked) == score_pairs(pairs)


def test_a_damaged_stored_picture_is_an_error():
    damaged = pa.array([b"\x89PNG and no more"], pa.binary())
    pairs = make_pairs(ROWS[:1]).set_column(2, "image", damaged)
    with pytest.raises(ValueError, match="not a JPEG or PNG picture"):
        score_pairs(pairs)
