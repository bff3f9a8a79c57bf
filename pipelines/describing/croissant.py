"""`croissant.json`: a corpus described in Croissant 1.1, for catalogues and loaders.

    manifest ──> distribution: a FileObject for each file (size, SHA-256), a FileSet for each series
             ──> recordSet:    one for each series and one for each of its files; Fields are columns

The files are those that the manifest names, one by one: nobody meets what an earlier generation has
left. mlcroissant 1.1 compares a FileObject's hash when it loads records out of it, and no hash when
it loads a FileSet: hence both kinds of record sets. The document is written with the standard
library alone: mlcroissant brings pandas, scipy and rdflib, and validates it in our tests.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.by_source import SourceCounts
from pipelines.describing.card_section import CardSection
from pipelines.describing.croissant_context import CONTEXT
from pipelines.describing.croissant_records import PARQUET, describe_records, series_id
from pipelines.toml_tables import read_table
from tokens.manifest import FileEntry, Manifest

CROISSANT_NAME = "croissant.json"
CONFORMS_TO = "http://mlcommons.org/croissant/1.1"

REQUIRED = (
    "@context",
    "@type",
    "conformsTo",
    "name",
    "description",
    "license",
    "url",
    "creator",
    "datePublished",
    "version",
    "distribution",
    "recordSet",
)
"""What a document must have: the standard's list, and a version. mlcroissant 1.1 takes a document
without a licence, a URL, a day, a description or a creator."""
REQUIRED_OF_FILE = ("@id", "name", "contentUrl", "encodingFormat", "sha256")

GIVEN = {
    "name": "name",
    "description": "description",
    "license": "license",
    "url": "url",
    "version": "version",
    "datePublished": "date_published",
    "citeAs": "cite_as",
}
"""Properties that are a field of CardSection."""


def describe(
    directory: str,
    folder: str,
    manifest: Manifest,
    counts: Mapping[str, int],
    sources: Sequence[SourceCounts],
    given: CardSection,
) -> dict[str, Any]:
    """The document.

    Args:
        directory: of the build.
        folder: of the stage whose files are published, below the build's: "tokens" or "pairs".
        manifest: of that stage.
        counts: further figures of the whole, by name, as properties.
    """
    names = {entry.name: f"{folder}/{entry.name}" for entry in manifest.files}
    series = dict(list_series(folder, manifest))
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        **_describe_given(given),
        "isBasedOn": [_describe_source(source) for source in sources],
        "additionalProperty": [_property(name, value) for name, value in counts.items()],
        "distribution": [_describe_file(entry, names[entry.name]) for entry in manifest.files]
        + [_describe_series(name, entries, names) for name, entries in series.items()],
        "recordSet": [
            records
            for name, entries in series.items()
            for records in describe_records(name, directory, folder, entries)
        ],
    }


def _describe_given(given: CardSection) -> dict[str, Any]:
    told = {key: getattr(given, name) for key, name in GIVEN.items()}
    if given.creator is not None:
        told["creator"] = {"@type": f"sc:{given.creator_type}", "name": given.creator}
    return {key: value for key, value in told.items() if value is not None}


def _describe_source(source: SourceCounts) -> dict[str, Any]:
    licence = {"license": source.license} if source.license else {}
    counts = {"rows": source.rows, **source.counts}
    counted = [_property(name, rows) for name, rows in counts.items()]
    return {
        "@type": "sc:CreativeWork",
        "name": source.name,
        **licence,
        "additionalProperty": counted,
    }


def _property(name: str, value: int | str) -> dict[str, Any]:
    return {"@type": "sc:PropertyValue", "name": name, "value": value}


def _describe_file(entry: FileEntry, path: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "contentSize": f"{entry.bytes} B",
        "encodingFormat": PARQUET,
        "sha256": entry.sha256,
    }


def list_series(folder: str, manifest: Manifest) -> Iterator[tuple[str, list[FileEntry]]]:
    """Name and files of each series: `train/view0`; the folder's name where there is but one."""
    for group in dict.fromkeys(entry.group for entry in manifest.files):
        yield group or folder, list(manifest.group(group))


def _describe_series(
    name: str, entries: Sequence[FileEntry], names: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": series_id(name),
        "name": series_id(name),
        "encodingFormat": PARQUET,
        "includes": [names[entry.name] for entry in entries],
    }


def find_missing(document: Mapping[str, Any]) -> list[str]:
    """What a document lacks that it must have, by name; a file's as `sha256 of PATH`."""
    missing = [key for key in REQUIRED if not document.get(key)]
    if document.get("conformsTo") not in (None, "", CONFORMS_TO):
        missing.append(f"conformsTo {CONFORMS_TO}")
    for file in document.get("distribution", ()):
        if file.get("@type") == "cr:FileObject":
            path = file.get("contentUrl") or file.get("@id") or "a file"
            missing += [f"{key} of {path}" for key in REQUIRED_OF_FILE if not file.get(key)]
    return missing


def read_given(document: Mapping[str, Any]) -> CardSection:
    """What a person once gave for an earlier document.

    Raises:
        ValueError: something in it is not what a person may give.
    """
    told = {name: document[key] for key, name in GIVEN.items() if key in document}
    creator = document.get("creator")
    if isinstance(creator, Mapping):
        told["creator"] = creator.get("name")
        told["creator_type"] = str(creator.get("@type", "")).removeprefix("sc:")
    return read_table(CardSection, told, CROISSANT_NAME)
