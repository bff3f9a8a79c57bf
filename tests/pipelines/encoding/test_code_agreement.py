"""The manifest says how many codes other arithmetic leaves as they are, the same in a re-run."""

import json
from types import SimpleNamespace

import fsspec
import pyarrow as pa
import pytest

from pipelines.commit import Written, commit_table, unit_output
from pipelines.encoding import code_agreement
from pipelines.encoding.code_agreement import NUM_PICTURES, CompareCodes, first_units
from pipelines.kept_pairs import KeptPairs, UnitPair
from tests.pipelines.inputs.picture_files import saved, smooth
from tokens.bundled import BUNDLED
from tokens.image import load_image_tokenizer
from tokens.manifest import KEPT
from tokens.numerics import REFERENCE, Numerics

SIDE_PX = 32


def write_unit(folder, index, reasons):
    """A unit of pictures, and why each was dropped if it was."""
    rows = len(reasons)
    images = [saved(smooth(60, 50, index * 50 + n + 1), "PNG") for n in range(rows)]
    ids = pa.array([bytes([index, n]) * 8 for n in range(rows)], pa.binary(16))
    tables = {
        "pairs": pa.table({"pair_id": ids, "image": images}),
        "decisions": pa.table({"reason": reasons, "split": ["train"] * rows}),
    }
    written = Written(rows, splits={"train": reasons.count(KEPT)})
    entries = [
        commit_table(unit_output(f"{folder}/{name}", index, name), table, written)
        for name, table in tables.items()
    ]
    return UnitPair(*entries)


class OffBy:
    """A tokenizer whose codes differ from the bundled one's in the first row."""

    def encode_each(self, images):
        for picture in images:
            codes = load_image_tokenizer(BUNDLED).encode(picture[None])[0]
            codes[0] += 1
            yield codes


@pytest.fixture
def compare(tmp_path, monkeypatch):
    def load(url, numerics, gpu):
        return load_image_tokenizer(url) if numerics == REFERENCE else OffBy()

    monkeypatch.setattr(code_agreement, "load_image", load)
    kept = KeptPairs(f"{tmp_path}/pairs", f"{tmp_path}/decisions")
    return CompareCodes(kept, f"{tmp_path}/tokens", "s", BUNDLED, Numerics("bf16"), SIDE_PX)


def read_facts(compare, item):
    compare(item)
    with fsspec.open(compare.output(item).url) as file:
        return json.load(file)


def test_counts_equal_codes_of_the_first_kept_pictures(compare, tmp_path):
    units = [
        write_unit(tmp_path, 0, [KEPT, "short_side", KEPT]),
        write_unit(tmp_path, 1, [KEPT] * 20),
        write_unit(tmp_path, 2, [KEPT]),
    ]
    item = first_units(units)
    assert item == tuple(units[:2]) and compare.rows(item) == NUM_PICTURES
    facts = read_facts(compare, item)
    assert facts == {"code_agreement": 0.75, "code_agreement_pictures": NUM_PICTURES}
    assert read_facts(compare, item) == facts


def test_says_nothing_of_no_pictures(compare, tmp_path):
    item = first_units([write_unit(tmp_path, 0, ["short_side"])])
    assert read_facts(compare, item) == {"code_agreement": None, "code_agreement_pictures": 0}


def test_other_arithmetic_is_compared_elsewhere(compare, tmp_path):
    item = (write_unit(tmp_path, 0, [KEPT]),)
    other = CompareCodes(compare.kept, compare.folder, "t", BUNDLED, Numerics("bf16"), SIDE_PX)
    assert compare.output(item).url != other.output(item).url


def test_takes_every_unit_where_all_hold_too_few():
    units = [SimpleNamespace(num_kept=count) for count in (0, 3, 5)]
    assert first_units(units) == tuple(units)
    assert first_units([]) == ()
