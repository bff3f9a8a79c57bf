"""The card of a build: its figures, and what strangers' text may do to it."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import card
from pipelines.describing.card_facts import collect_facts
from pipelines.describing.card_files import write_card
from pipelines.describing.card_section import CardSection
from pipelines.describing.markdown import escape, fence, table
from pipelines.recipe import read_recipe
from tests.pipelines.report.report_corpus import write_corpus
from tokens.manifest import read_manifest


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card") / "corpus"
    write_corpus(folder)
    write_card(str(folder), CardSection(name="<b>Fix</b> | [ture](x)", license="CC-BY-4.0"))
    return folder


@pytest.fixture(scope="module")
def page(corpus: Path) -> str:
    return (corpus / "README.md").read_text()


def rows_of(page: str, heading: str) -> dict[str, list[str]]:
    """The cells of a section's table by the first of each row."""
    section = page.split(f"## {heading}")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines[2:]]
    return {first: rest for first, *rest in cells}


def test_every_row_that_was_read_is_counted_once(corpus: Path, page: str) -> None:
    rows = rows_of(page, "From the rows read to the pairs kept")
    numbers = {name: int(cells[0].replace(",", "")) for name, cells in rows.items()}
    read = numbers.pop("rows read")
    decided = read_manifest(str(corpus / "decisions")).counts
    assert read == sum(numbers.values()) == 90
    assert numbers.pop("**kept**") == decided["kept"]
    assert numbers == {f"`{name}`": n for name, n in decided.items() if name != "kept"}


def test_card_document_and_shards_count_alike(corpus: Path, page: str) -> None:
    told = {name: int(cells[0]) for name, cells in rows_of(page, "What is in it").items()}
    document = json.loads((corpus / "croissant.json").read_text())
    assert told == {one["name"]: one["value"] for one in document["additionalProperty"]}
    shards = read_manifest(str(corpus / "tokens"))
    assert told["rows of train/view0"] == sum(e.rows for e in shards.group("train/view0"))
    assert told == collect_facts(str(corpus)).counts


def test_sources_stand_with_their_licences_and_counts(corpus: Path, page: str) -> None:
    rows = list(rows_of(page, "Sources").values())
    assert [cells[:2] for cells in rows] == [["CC0-1\\.0", "60"], ["none given", "30"]]
    kept = read_manifest(str(corpus / "decisions")).counts["kept"]
    assert sum(int(cells[2]) for cells in rows) == kept


def test_names_are_text_and_no_markup(page: str) -> None:
    body = page.split("---\n", 2)[2]
    outside = re.sub(r"```.*?```", "", body, flags=re.DOTALL)
    assert "<b>" not in outside
    assert "\\<b\\>Fix\\<\\/b\\> \\| \\[ture\\]\\(x\\)" in outside
    assert re.findall(r"<(?!/?(?:details|summary)>)", outside.replace("\\<", "")) == []


def test_the_header_is_what_the_hub_reads(page: str) -> None:
    yaml = pytest.importorskip("yaml")
    header = yaml.safe_load(page.split("---\n")[1])
    assert header["license"] == "cc-by-4.0"
    assert header["pretty_name"] == "<b>Fix</b> | [ture](x)"
    assert header["size_categories"] == ["n<1K"]
    (config,) = header["configs"]
    assert [one["split"] for one in config["data_files"]] == ["train", "validation"]
    assert all(path.startswith("tokens/") for one in config["data_files"] for path in one["path"])


def test_what_was_not_done_is_said(page: str) -> None:
    assert "Near duplicates were not looked for" in page
    assert "Nothing in captions was masked; no face was blurred" in page
    assert "pipelines.purge" in page


@given(st.text())
def test_escaped_text_is_one_line_without_bare_punctuation(text: str) -> None:
    escaped = escape(text)
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", escaped)
    assert not set(bare) & set("<>[]()|`*_#&!~\\$:\n\r\u202e")
    assert len(escaped.splitlines()) <= 1


@given(st.text(alphabet="`a\n"))
def test_nothing_breaks_out_of_a_fence(text: str) -> None:
    first, *inside, last = fence(text).split("\n")
    assert first == last
    assert all(first not in line for line in inside)


def test_a_table_of_no_rows_is_a_head() -> None:
    assert table(("a", "b"), ()).splitlines() == ["| a | b |", "| --- | --- |"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"url": "example.org"}, "url is 'example.org'"),
        ({"version": "1.0"}, "version is '1.0'"),
        ({"date_published": "31.1.2026"}, "date_published is '31.1.2026'"),
        ({"date_published": "2026-02-30"}, "date_published is '2026-02-30'"),
        ({"name": " "}, "name is empty"),
        ({"nam": "x"}, "nearest is 'name'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_wrong_table_is_told(wrong: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_recipe({"card": wrong} | {"select": {"rules": [SHORT_SIDE]}}, "r.toml")


SHORT_SIDE = {"filter": "short_side", "min_side_px": 256}


def test_a_card_is_no_part_of_the_recipe_s_hash() -> None:
    plain = read_recipe({"select": {"rules": [SHORT_SIDE]}})
    named = read_recipe({"select": {"rules": [SHORT_SIDE]}, "card": {"name": "x"}})
    assert named.card.name == "x"
    assert named.sha256 == plain.sha256


def test_the_door_writes_both_anew_and_names_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path)
    assert card.main([str(tmp_path), "--name", "Door", "--creator", "A group"]) == 0
    printed = capsys.readouterr().out
    assert "README.md" in printed
    assert "the card lacks description, license, url, datePublished, version" in printed
    document = json.loads((tmp_path / "croissant.json").read_text())
    assert document["creator"] == {"@type": "sc:Organization", "name": "A group"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [([], "holds no fetched pairs"), (["--version", "one"], "version is 'one'")],
    ids=["no build", "a wrong flag"],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert card.main([str(tmp_path), *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_document_of_somebody_else_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path)
    (tmp_path / "croissant.json").write_text("[]")
    assert card.main([str(tmp_path)]) == 2
    assert "is not ours" in capsys.readouterr().err
    assert (tmp_path / "croissant.json").read_text() == "[]"
