"""The Croissant document of a build: valid, complete, and true to its manifest."""

import json
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.describing.card_files import write_card
from pipelines.describing.card_section import CardSection
from pipelines.describing.croissant import REQUIRED, REQUIRED_OF_FILE, find_missing, read_given
from tests.pipelines.report.report_corpus import SOURCES, write_corpus
from tokens.manifest import read_manifest

GIVEN = CardSection(
    name="Fixture",
    description="Ninety rows for tests.",
    license="https://creativecommons.org/publicdomain/zero/1.0/",
    url="https://example.org/fixture",
    creator="Jane Doe",
    creator_type="Person",
    version="1.0.0",
    date_published="2026-01-31",
    cite_as="Doe 2026",
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card") / "corpus"
    write_corpus(folder)
    assert not write_card(str(folder), GIVEN).missing
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A corpus that a test may change."""
    write_corpus(tmp_path / "corpus")
    write_card(str(tmp_path / "corpus"), GIVEN)
    return tmp_path / "corpus"


@pytest.fixture
def validator() -> Iterator[Any]:
    """mlcroissant, whose dependencies warn of themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("mlcroissant")


def read_document(corpus: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((corpus / "croissant.json").read_text())
    return document


def files_of(document: dict[str, Any]) -> dict[str, Any]:
    return {
        one["contentUrl"]: one
        for one in document["distribution"]
        if one["@type"] == "cr:FileObject"
    }


def test_mlcroissant_finds_nothing_to_say(
    corpus: Path, validator: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = validator.Dataset(str(corpus / "croissant.json"))
    assert found.metadata.ctx.issues.report() == ""
    assert "not standard" not in caplog.text  # its name for a foreign @context
    assert found.metadata.conforms_to == ["http://mlcommons.org/croissant/1.1"]


def test_mlcroissant_loads_every_row_that_the_card_counts(corpus: Path, validator: Any) -> None:
    document = read_document(corpus)
    counts = {one["name"]: one["value"] for one in document["additionalProperty"]}
    dataset = validator.Dataset(str(corpus / "croissant.json"))
    for series in ("train/view0", "val/view0"):
        assert len(list(dataset.records(series))) == counts[f"rows of {series}"] > 0
        (file,) = (f["contentUrl"] for f in files_of(document).values() if series in f["name"])
        assert len(list(dataset.records(f"{file}/rows"))) == counts[f"rows of {series}"]


def test_a_file_with_another_hash_is_not_loaded(own: Path, validator: Any) -> None:
    document = read_document(own)
    path, file = next(iter(files_of(document).items()))
    file["sha256"] = "0" * 64
    (own / "croissant.json").write_text(json.dumps(document))
    dataset = validator.Dataset(str(own / "croissant.json"))
    with pytest.raises(validator.GenerationError) as told:
        list(dataset.records(f"{path}/rows"))
    assert "is not identical with the reference" in str(told.value.__cause__)


def test_the_files_are_those_of_the_manifest_with_their_hashes(corpus: Path) -> None:
    entries = read_manifest(str(corpus / "tokens")).files
    files = files_of(read_document(corpus))
    assert {name: file["sha256"] for name, file in files.items()} == {
        f"tokens/{entry.name}": entry.sha256 for entry in entries
    }
    for entry in entries:
        assert files[f"tokens/{entry.name}"]["contentSize"] == f"{entry.bytes} B"
        assert (corpus / "tokens" / entry.name).stat().st_size == entry.bytes


def test_columns_carry_their_types(corpus: Path) -> None:
    first, *_ = read_document(corpus)["recordSet"]
    types = {
        field["name"]: (field["dataType"], field.get("arrayShape")) for field in first["field"]
    }
    assert types["pair_id"] == ("sc:Text", None)
    assert types["view"] == ("cr:Int8", None)
    assert types["text_tokens"] == ("cr:UInt16", "-1")
    assert types["image_codes"] == ("cr:UInt16", "64")
    assert {"caption", "url", "sha256", "license", "source"} <= set(types)


def test_sources_keep_their_licences(corpus: Path) -> None:
    based_on = read_document(corpus)["isBasedOn"]
    assert [one["name"] for one in based_on] == [source["name"] for source in SOURCES]
    assert based_on[0]["license"] == "CC0-1.0"
    assert "license" not in based_on[1]


def test_before_tokens_the_pairs_are_described(tmp_path: Path, validator: Any) -> None:
    write_corpus(tmp_path, until="select")
    assert not write_card(str(tmp_path), GIVEN).missing
    document = read_document(tmp_path)
    first, *rest = (one["@id"] for one in document["recordSet"])
    assert (first, len(rest)) == ("pairs", 3)
    dataset = validator.Dataset(str(tmp_path / "croissant.json"))
    assert len(list(dataset.records("pairs"))) == read_manifest(str(tmp_path / "pairs")).rows


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_property_is_named(corpus: Path, name: str) -> None:
    document = read_document(corpus)
    assert find_missing(document) == []
    del document[name]
    assert find_missing(document) == [name]


@pytest.mark.parametrize("name", REQUIRED_OF_FILE)
def test_a_missing_property_of_a_file_is_named(corpus: Path, name: str) -> None:
    document = read_document(corpus)
    path, file = next(iter(files_of(document).items()))
    del file[name]
    assert find_missing(document) == [f"{name} of {path}"]


def test_another_version_of_the_standard_is_named(corpus: Path) -> None:
    document = read_document(corpus)
    document["conformsTo"] = "http://mlcommons.org/croissant/1.0"
    assert find_missing(document) == ["conformsTo http://mlcommons.org/croissant/1.1"]


def test_what_nobody_gave_is_left_out_and_named(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    written = write_card(str(tmp_path), CardSection())
    assert set(written.missing) == {
        *("name", "description", "license", "url", "creator", "datePublished", "version")
    }
    assert not set(written.missing) & set(read_document(tmp_path))
    page = (tmp_path / "README.md").read_text()
    assert "**Missing: name, description, license, url, creator, datePublished, version" in page
    assert "the card lacks name" in "\n".join(written.lines())


def test_the_same_build_gives_the_same_bytes_wherever_it_lies(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_corpus(tmp_path / name)
        write_card(str(tmp_path / name), GIVEN)
    for file in ("croissant.json", "README.md"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    written = (tmp_path / "one" / "croissant.json").read_text()
    assert re.findall(r"\d{4}-\d{2}-\d{2}", written) == ["2026-01-31"]


def test_what_was_given_once_is_kept_until_it_is_given_anew(own: Path) -> None:
    assert read_given(read_document(own)) == GIVEN
    write_card(str(own), CardSection(version="1.1.0"))
    document = read_document(own)
    assert document["version"] == "1.1.0"
    assert document["creator"] == {"@type": "sc:Person", "name": "Jane Doe"}
