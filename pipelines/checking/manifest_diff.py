"""What differs between two manifests of a stage, as lines for a person."""

from collections.abc import Iterator, Mapping
from typing import Any

from tokens.manifest import Manifest

ABSENT = "-"
PARTS = ("inputs", "details", "versions")
"""What a manifest says it was made of, beside the recipe, which all stages of a build share."""
NAMES = ("filter", "name")
"""What a table of a list is called by, in a recipe or in details."""


def describe_stage(a: Manifest, b: Manifest) -> Iterator[str]:
    """Rows, bytes and shared files of a stage, then what it was made of and what was counted.

    Nothing where both hold the same files, made of the same things.
    """
    if (a.files, *_made_of(a)) == (b.files, *_made_of(b)):
        return
    shared = {entry.sha256 for entry in a.files} & {entry.sha256 for entry in b.files}
    yield (
        f"{a.stage:<10}{a.rows:>14,} rows {a.bytes:>16,} bytes -> "
        f"{b.rows:>14,} rows {b.bytes:>16,} bytes, "
        f"{len(shared):,} of {len(a.files):,} and {len(b.files):,} files the same"
    )
    for part in PARTS:
        yield from _differences(f"  {part}", getattr(a, part), getattr(b, part))
    yield from _describe_counts(a.counts, b.counts)


def describe_recipe(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[str]:
    """Each setting of the recipe that differs, with both values."""
    return _differences("recipe", a, b)


def _made_of(manifest: Manifest) -> tuple[Any, ...]:
    return tuple(getattr(manifest, part) for part in PARTS)


def _describe_counts(a: Mapping[str, int], b: Mapping[str, int]) -> Iterator[str]:
    for reason in sorted(a.keys() | b.keys()):
        before, after = a.get(reason, 0), b.get(reason, 0)
        if before != after:
            yield f"  {reason:<26}{before:>14,} -> {after:>14,}  {after - before:+,}"


def _differences(name: str, a: Any, b: Any) -> Iterator[str]:
    """One line for each leaf that differs, named by its path."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in sorted(a.keys() | b.keys()):
            yield from _differences(f"{name}.{key}", a.get(key, ABSENT), b.get(key, ABSENT))
    elif isinstance(a, list) and isinstance(b, list) and _named(a) and _named(b):
        yield from _differences(name, _by_name(a), _by_name(b))
    elif a != b:
        yield f"{name}: {a} -> {b}"


def _named(entries: list[Any]) -> bool:
    """A list of tables, each with another name: rules, sources, evaluation sets."""
    names = [_name(one) for one in entries]
    return None not in names and len(set(names)) == len(names)


def _by_name(entries: list[Any]) -> dict[str, Any]:
    return {str(_name(one)): one for one in entries}


def _name(entry: Any) -> str | None:
    found = (entry.get(key) for key in NAMES) if isinstance(entry, dict) else ()
    return next((str(name) for name in found if name is not None), None)
