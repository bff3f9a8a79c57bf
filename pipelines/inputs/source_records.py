"""What the manifest of rows says of its sources: what decides them, and which units are whose."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby, pairwise
from typing import Any

from pipelines.inputs.dialects import Columns
from pipelines.inputs.source import Source
from tokens.manifest import FileEntry

COLUMNS_OF_OLD = ("url", "captions")
"""Columns that a source was always described by."""


def describe_input(source: Source, digest: str) -> dict[str, Any]:
    """What decides a source's rows: another description is another source."""
    columns = source.columns
    described = {"sha256": digest, "format": source.format, "url": columns.url}
    return described | {"caption": columns.captions[0]} | describe_settings(source)


def describe_settings(source: Source) -> dict[str, Any]:
    """What is not as it is for a table of one caption; empty for that, as it always was."""
    plain, columns = asdict(Columns()), asdict(source.columns)
    told: dict[str, Any] = {
        f"{name}_column": value
        for name, value in columns.items()
        if name not in COLUMNS_OF_OLD and value != plain[name]
    }
    if len(source.columns.captions) > 1:
        told["captions"] = list(source.columns.captions)
    name = source.label if source.holds_pictures else None  # it stands in those rows' URLs
    named = {"dialect": source.dialect.name, "name": name, "license": source.license}
    return told | {key: value for key, value in named.items() if value}


def unit_key(source: Source, digest: str) -> tuple[str, ...]:
    """What a unit's name stands for, of its source."""
    settings = describe_settings(source)
    return (digest, json.dumps(settings, sort_keys=True)) if settings else (digest,)


def list_sources(
    sources: Sequence[Source], starts: Sequence[int], entries: Sequence[FileEntry]
) -> list[dict[str, Any]]:
    """A record for each listed source, whose parts follow one another under one name.

    Args:
        starts: the first unit of each of `sources`.

    Returns:
        `first_unit` and `units` say which units are a source's: later stages keep the numbers.
    """
    ends = [*starts, len(entries)]
    parts = zip(sources, pairwise(ends), strict=True)
    listed = groupby(parts, key=lambda part: part[0].name or id(part[0]))
    return [_describe(list(group), entries) for _, group in listed]


def _describe(
    parts: Sequence[tuple[Source, tuple[int, int]]], entries: Sequence[FileEntry]
) -> dict[str, Any]:
    (source, (first, _)), (_, (_, end)) = parts[0], parts[-1]
    return {
        "name": source.label,
        "license": source.license,
        "caption": ", ".join(source.columns.captions),
        "dialect": source.dialect.name or source.format,
        "first_unit": first,
        "units": end - first,
        "rows": sum(entry.rows for entry in entries[first:end]),
    }
