"""Copies of bytes, of pixels, of hash and caption, through the whole select stage."""

from uuid import uuid4

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.selecting.duplicate_sections import EXACT
from pipelines.selecting.exact_duplicates import COPY, digest_captions, split_copies
from tests.pipelines.selecting.select_corpus import Picture, reasons, select


def decide(units, *levels):
    return reasons(select(f"memory://{uuid4()}", units, {"exact_duplicates": list(levels)}))


SAME = {"phash": 7, "pixels": 1}


@pytest.mark.parametrize(
    ("levels", "rows", "expected"),
    [
        pytest.param(
            ["bytes"],
            [Picture(**SAME, bytes=1), Picture(**SAME, bytes=1)],
            ["kept", "duplicate_bytes"],
            id="equal bytes",
        ),
        pytest.param(
            ["bytes"],
            [Picture(**SAME, bytes=1), Picture(**SAME, bytes=2)],
            ["kept", "kept"],
            id="other bytes of equal pixels",
        ),
        pytest.param(
            ["pixels"],
            [Picture(**SAME, bytes=1), Picture(**SAME, bytes=2)],
            ["kept", "duplicate_pixels"],
            id="equal pixels",
        ),
        pytest.param(
            ["pixels", "bytes"],
            [Picture(**SAME, bytes=1), Picture(**SAME, bytes=1)],
            ["kept", "duplicate_bytes"],
            id="bytes give the reason before pixels",
        ),
        pytest.param(
            ["phash_caption"],
            [Picture(7, caption="a boat"), Picture(7, 400, caption="a boat")],
            ["duplicate_phash_caption", "kept"],
            id="equal hash and caption: the larger one stays",
        ),
        pytest.param(
            ["phash_caption"],
            [
                Picture(7, caption="a boat"),
                Picture(7, caption="a ship"),
                Picture(8, caption="a boat"),
            ],
            ["kept", "kept", "kept"],
            id="one of the two is another",
        ),
        pytest.param(
            ["pixels"],
            [Picture(**SAME, side_px=100), Picture(**SAME), Picture(**SAME, outcome="timeout")],
            ["short_side", "kept", "timeout"],
            id="what a rule drops or was not fetched is no keeper",
        ),
        pytest.param(
            ["pixels"],
            [Picture(**SAME, url="https://a.org/1", caption="x y"), Picture(**SAME)]
            + [Picture(**SAME, url="https://a.org/1", caption="x y")],
            ["kept", "duplicate_pixels", "duplicate_pair"],
            id="a pair that stands twice has that reason",
        ),
    ],
)
def test_which_copy_is_kept(levels, rows, expected):
    assert decide([rows], *levels) == expected
    assert decide([[row] for row in rows], *levels) == expected


pictures = st.builds(
    lambda look, pixels, body, caption, side_px: Picture(
        look, side_px, caption, look * 10 + pixels, look * 100 + pixels * 10 + body
    ),
    *(st.integers(0, 1), st.integers(0, 2), st.integers(0, 2)),
    *(st.sampled_from("ab"), st.sampled_from([256, 300])),
)


@settings(max_examples=15, deadline=None)
@given(
    units=st.lists(st.lists(pictures, min_size=1, max_size=6), min_size=1, max_size=3),
    levels=st.sets(st.sampled_from(EXACT), min_size=1),
)
def test_a_row_falls_where_a_better_one_equals_it(units, levels):
    rows = [(unit, row, p) for unit, some in enumerate(units) for row, p in enumerate(some)]
    same = {
        "bytes": lambda a, b: a.bytes == b.bytes,
        "pixels": lambda a, b: a.pixels == b.pixels,
        "phash_caption": lambda a, b: (a.phash, a.caption) == (b.phash, b.caption),
    }

    def better(one, other):
        return (-one[2].side_px, one[:2]) < (-other[2].side_px, other[:2])

    expected = [
        next(
            (
                f"duplicate_{level}"
                for level in EXACT
                if level in levels
                and any(same[level](o[2], row[2]) and better(o, row) for o in rows)
            ),
            "kept",
        )
        for row in rows
    ]
    decided = decide(units, *levels)
    assert decided == expected
    for (_, _, picture), reason in zip(rows, decided, strict=True):
        stays = {p.phash for (_, _, p), other in zip(rows, decided, strict=True) if other == "kept"}
        assert reason == "kept" or picture.phash in stays


def test_a_unit_sends_a_hot_picture_once():
    """10,000 rows with one picture are one record for the bucket."""
    copies = np.zeros(10_000, COPY)
    copies["row"] = np.arange(10_000)
    copies["area"][77] = 5
    best, fallen = split_copies(copies)
    assert best["row"].tolist() == [77]
    assert len(fallen) == 9_999


def test_a_row_without_hash_or_caption_is_no_copy():
    digests = digest_captions(pa.array([1, None, 1], pa.uint64()), pa.array(["a", "a", None]))
    assert digests.null_count == 2
