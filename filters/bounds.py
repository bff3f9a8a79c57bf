"""Limits of a number, written beside it: `max_ratio: Annotated[float, Between(0, 1)] = 0.5`."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True, slots=True)
class Between:
    """A field's least and greatest value, both allowed."""

    least: float
    most: float


def check_fields(record: Any) -> None:
    """Raise ValueError for the first field outside its `Between` or its `Literal`.

    Call it in `__post_init__`, so that a wrong value stops before anything runs.
    """
    hints = get_type_hints(type(record), include_extras=True)
    for field in fields(record):
        _check(field.name, getattr(record, field.name), hints[field.name])


def _check(name: str, value: Any, hint: Any) -> None:
    if get_origin(hint) is Literal and value not in get_args(hint):
        choices = ", ".join(map(repr, get_args(hint)))
        raise ValueError(f"{name} is {value!r}; give one of {choices}")
    if get_origin(hint) is Annotated:
        for bound in hint.__metadata__:
            if isinstance(bound, Between) and not bound.least <= value <= bound.most:
                raise ValueError(
                    f"{name} is {value!r}; give a number from {bound.least:,} to {bound.most:,}"
                )
