"""Odd inputs through all stages: each has a defined end (list R11)."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.build import main
from pipelines.verify import main as verify
from tests.pipelines.small_build import (
    InProcess,
    build_here,
    draw_rows,
    flags,
    inline_decoders,
    write_source,
)

__all__ = ["inline_decoders"]

pytestmark = pytest.mark.usefixtures("inline_decoders")


def take(rows: list[int]) -> dict[str, list[Any]]:
    return {name: [values[row] for row in rows] for name, values in draw_rows().items()}


def without(name: str, row: int) -> dict[str, list[Any]]:
    columns = take([0, 1, 2])
    columns[name][row] = None
    return columns


def of_no_picture() -> dict[str, list[Any]]:
    return take([0, 1, 2]) | {"image": [b"", b"<html>", b"GIF89a"]}


ENDS = {
    "no row": (take([]), {}),
    "one row": (take([0]), {"kept": 1}),
    "every row fails": (of_no_picture(), {"empty_body": 1, "not_an_image": 1, "decode_error": 1}),
    "a row that stands twice": (take([0, 0, 1]), {"kept": 2, "duplicate_pair": 1}),
    "a caption that is null": (without("caption", 1), {"kept": 2, "caption_empty": 1}),
    "a url that is null": (without("url", 1), {"kept": 3}),
    "a picture that is null": (without("image", 1), {"kept": 2, "truncated_body": 1}),
}


@pytest.mark.parametrize("columns_and_counts", ENDS.values(), ids=ENDS)
def test_every_row_has_its_outcome_and_the_corpus_is_sound(
    tmp_path: Path, columns_and_counts: tuple[dict[str, list[Any]], dict[str, int]]
) -> None:
    columns, counts = columns_and_counts
    source = write_source(tmp_path / "source", columns)

    done = build_here(source, tmp_path / "corpus", engine=InProcess())

    assert done["select"].counts == counts
    kept = done["select"].splits
    assert done["encode"].rows == 2 * kept.get("train", 0) + kept.get("val", 0)
    assert verify([str(tmp_path / "corpus")]) == 0


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"link": ["http://h.example/a.png"], "caption": ["a"]}, "has no column 'image'"),
        ({"image": [b"a"], "text": ["a"]}, "has no column 'caption'"),
    ],
    ids=["no picture", "no caption"],
)
def test_a_table_of_another_form_is_told_in_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    columns: dict[str, Any],
    message: str,
) -> None:
    source = write_source(tmp_path / "source", columns)

    assert main(flags(source, tmp_path / "corpus")) == 2

    (told,) = capsys.readouterr().err.splitlines()
    assert message in told
    assert not [path for path in (tmp_path / "corpus").rglob("*") if path.is_file()]


@pytest.mark.parametrize("folder", ["rows", "pairs", "signals", "decisions", "tokens"])
def test_a_torn_manifest_is_told_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    source = write_source(tmp_path / "source", take([0]))
    torn = tmp_path / "corpus" / folder / "manifest.json"
    torn.parent.mkdir(parents=True)
    torn.write_text('{"format": 1, "files": [')

    assert main(flags(source, tmp_path / "corpus")) == 2

    (told,) = capsys.readouterr().err.splitlines()
    assert f"{folder}/manifest.json is not a pairmill manifest" in told
    assert "delete it, and the same command makes it again" in told
