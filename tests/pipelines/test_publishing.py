"""A stage whose books do not balance publishes nothing."""

from pathlib import Path

import pytest

from pipelines.commit import Output, Written, commit_file, current_manifest
from pipelines.ledger import FETCH_OUTCOMES
from pipelines.publishing import Generation, PublishFiles


def stage(folder: Path, written: Written, rows_in: int) -> PublishFiles:
    output = Output(str(folder), "unit.bin")
    commit_file(output, lambda sink: sink.write(b"abc") and None, written)
    generation = Generation("fetch", str(folder), {}, "hash", {})
    return PublishFiles(generation, (output,), {"": rows_in}, FETCH_OUTCOMES)


def test_a_generation_whose_books_balance_is_published(tmp_path: Path) -> None:
    stage(tmp_path, Written(3, {"ok": 2, "timeout": 1}), rows_in=3)()

    manifest = current_manifest(str(tmp_path))
    assert manifest is not None
    assert manifest.counts == {"ok": 2, "timeout": 1}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        pytest.param(Written(3, {"ok": 2}), "3 rows in, 2 rows out", id="a row was lost"),
        pytest.param(Written(3, {"ok": 4}), "3 rows in, 4 rows out", id="a row was doubled"),
        pytest.param(Written(3, {"ok": 2, "fine": 1}), "in no list: fine", id="unknown outcome"),
    ],
)
def test_a_generation_whose_books_do_not_balance_is_not_published(
    tmp_path: Path, written: Written, message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        stage(tmp_path, written, rows_in=3)()

    assert current_manifest(str(tmp_path)) is None


def test_a_generation_that_lacks_rows_of_its_input_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="4} rows in"):
        stage(tmp_path, Written(3, {"ok": 3}), rows_in=4)()

    assert current_manifest(str(tmp_path)) is None
