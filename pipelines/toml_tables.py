"""A table of a TOML file -> a frozen dataclass, with an error that says what to write instead."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


def read_table(kind: type[Record], table: Any, where: str) -> Record:
    """The record of `kind` that a TOML table describes; absent keys have their defaults.

    Args:
        where: file and table, the beginning of every error's sentence.

    Raises:
        ValueError: for an unknown key, a value of another type or outside its limits.
    """
    check_table(table, where)
    hints = get_type_hints(kind, include_extras=True)
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # all are dataclasses
    check_keys(table, known, where)
    values = {key: read_value(hints[key], value, f"{where} {key}") for key, value in table.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{where} {error}") from error


def check_table(table: Any, where: str) -> None:
    """Raise ValueError unless the value is a table."""
    if not isinstance(table, Mapping):
        raise ValueError(f"{where} is {table!r}; give a table, such as [fetch] with keys below it")


def check_keys(table: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise ValueError for the first key that is not known, naming the nearest one that is."""
    known = list(known)
    for key in table:
        if key not in known:
            raise ValueError(f"{where} has no key {key!r}; the nearest is {nearest(key, known)!r}")


def nearest(word: str, words: Iterable[str]) -> str:
    """The most similar of `words`."""
    return get_close_matches(word, list(words), n=1, cutoff=0.0)[0]


def read_value(hint: Any, value: Any, where: str) -> Any:
    """A TOML value as the field's type: whole numbers count as floats, arrays become tuples.

    A field that is a dataclass, or a tuple of one, is a table, or an array of tables.
    """
    wanted = _plain_types(hint)
    if value is None and NoneType in wanted:  # no TOML says so; a manifest's copy does
        return None
    for kind in filter(is_dataclass, wanted):
        return read_table(kind, value, where)
    if float in wanted and type(value) is int:
        return float(value)
    if tuple in wanted and type(value) is list:
        (kind, *_) = _find_tuple(hint)
        return tuple(read_value(kind, item, where) for item in value)
    if type(value) not in wanted:
        names = " or ".join(_TOML_NAMES[kind] for kind in wanted if kind is not NoneType)
        raise ValueError(f"{where} is {value!r}; give {names}")
    return value


_TOML_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
    tuple: "a list of texts",
}


def _find_tuple(hint: Any) -> tuple[Any, ...]:
    """What a tuple holds: `tuple[str, ...] | None` -> (str, ...)."""
    if get_origin(hint) is tuple:
        return get_args(hint)
    return next(filter(None, map(_find_tuple, get_args(hint))), ())


def _plain_types(hint: Any) -> tuple[type, ...]:
    """`Annotated[int, ...]` -> int; `Literal["a"]` -> str; `str | None` -> str, NoneType."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _plain_types(get_args(hint)[0])
    if origin is Literal:
        return (type(get_args(hint)[0]),)
    if origin is tuple:
        return (tuple,)
    inner = get_args(hint)
    return tuple(kind for one in inner for kind in _plain_types(one)) if inner else (hint,)
