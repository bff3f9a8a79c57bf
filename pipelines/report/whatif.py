"""What other thresholds would do: for each slider, where it makes each row of a sample flip.

No rule is written a second time. Every rule is asked, in Python, at every position of its
sliders; what a browser has to know of a row is one byte per slider: on which side it begins and
at which position it changes sides. Counting is all that is left to do there.

A rule with several numbers drops a row where any of them says so, and each is asked with the
others out of the way. That this holds is checked, at a number of settings drawn at random: a rule
that works in another way, or in which a row flips twice, gets no slider and keeps its decisions.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa

from filters.bounds import Between
from filters.filter import Filter
from pipelines.report.positions import Mask, Number, place_positions
from pipelines.report.sample import Sample
from tokens.draw import keyed_generator

CHECKED_SETTINGS = 48
"""Settings of all sliders of a rule at once, at which the rule must agree with its tests."""
BEGINS_DROPPED, POSITION_BITS = 128, 127


@dataclass(frozen=True, slots=True)
class Slider:
    """One number of a rule."""

    field: str
    positions: tuple[Number, ...]
    """What it may be set to, ascending; from the least to the most that the rule allows."""
    start: int
    """The position of the recipe's value."""
    drops: tuple[int, ...]
    """Rows that the rule would drop for this number, at each position."""
    flips: bytes
    """Per row: 128 where the first position drops it, plus the first position that does not do
    as the first does, or 127."""


@dataclass(frozen=True, slots=True)
class RuleSliders:
    """One rule of the recipe with all its numbers."""

    reason: str
    settings: Mapping[str, Any]
    """All of its fields, in order, as the recipe has them."""
    sliders: tuple[Slider, ...]
    held: str
    """Why the rule has no sliders; empty where it has some."""
    flips: bytes
    """Where it has none, per row: 127 and 128 more where the rule drops it."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A sample's rows under the rules of a recipe, in the order of the recipe."""

    rows: int
    fetched: int
    """Rows that the sample stands for."""
    kept: int
    rules: tuple[RuleSliders, ...]
    ended: tuple[str, ...]
    """Reasons besides the rules that dropped rows; these rows stay dropped."""
    ends: bytes
    """Per row: 0, or 1 + the index of such a reason."""


def make_what_if(sample: Sample, rules: Sequence[Filter], kept: str) -> WhatIf:
    """Ask every rule about every row of the sample, at every position of its sliders."""
    reasons = {rule.reason for rule in rules} | {kept}
    ended = tuple(sorted(set(sample.reasons) - reasons))
    numbers = {reason: number for number, reason in enumerate(ended, start=1)}
    return WhatIf(
        rows=sample.rows,
        fetched=sample.fetched,
        kept=int(np.count_nonzero(sample.reasons == kept)),
        rules=tuple(make_rule_sliders(sample, rule) for rule in rules),
        ended=ended,
        ends=bytes(numbers.get(reason, 0) for reason in sample.reasons),
    )


def make_rule_sliders(sample: Sample, rule: Filter) -> RuleSliders:
    """A rule's sliders, or its decisions alone where it can have none."""
    settings = asdict(rule)
    missing = [name for name in rule.signals if name not in sample.columns]
    if missing:
        dropped = np.asarray(sample.reasons == rule.reason, bool)
        held = f"{', '.join(missing)} is not stored"
        return RuleSliders(rule.reason, settings, (), held, _hold(dropped))
    sliders: tuple[Slider, ...] = ()
    held = "it has no number"
    if bounds := bounded_numbers(rule):
        try:
            sliders, held = ask_rule(sample.signals, rule, bounds), ""
        except ValueError as error:
            held = str(error)
    flips = b"" if sliders else _hold(rule(sample.signals))
    return RuleSliders(rule.reason, settings, sliders, held, flips)


def bounded_numbers(rule: Filter) -> dict[str, tuple[Number, Number]]:
    """The least and the most of every field that is a number with a `Between`."""
    hints = get_type_hints(type(rule), include_extras=True)
    found = {}
    for field in fields(rule):
        value = getattr(rule, field.name)
        for kind, bound in _find_bounds(hints[field.name]):
            if type(value) in (int, float):
                found[field.name] = kind(bound.least), kind(bound.most)
    return found


def _find_bounds(hint: Any) -> Iterator[tuple[type[int] | type[float], Between]]:
    """The number types in an annotation, with their bounds; `... | None` may stand around them."""
    if get_origin(hint) in (Union, UnionType):
        for part in get_args(hint):
            yield from _find_bounds(part)
    if get_origin(hint) is Annotated:
        kinds = [
            kind for kind in (float, int) if kind in (hint.__origin__, *get_args(hint.__origin__))
        ]
        yield from ((kinds[0], b) for b in hint.__metadata__ if isinstance(b, Between) and kinds)


def ask_rule(
    signals: pa.RecordBatch, rule: Filter, bounds: Mapping[str, tuple[Number, Number]]
) -> tuple[Slider, ...]:
    """A slider for each of the rule's numbers.

    Raises:
        ValueError: the rule is no set of thresholds, any of which drops a row.
    """
    lenient = find_lenient(signals, rule, bounds)
    asked = {}
    for name, (least, most) in bounds.items():

        def drops(at: Number, name: str = name) -> Mask:
            return np.asarray(replace(lenient, **{name: at})(signals), bool)

        asked[name] = place_positions(least, getattr(rule, name), most, drops)
    check_tests(signals, rule, asked)
    return tuple(
        make_slider(name, positions, getattr(rule, name)) for name, positions in asked.items()
    )


def find_lenient(
    signals: pa.RecordBatch, rule: Filter, bounds: Mapping[str, tuple[Number, Number]]
) -> Filter:
    """The rule with each of its numbers at the end where it drops the fewest rows."""
    corners = []
    for values in itertools.product(*bounds.values()):
        try:
            corner = replace(rule, **dict(zip(bounds, values, strict=True)))
        except ValueError:  # a rule may refuse a least above its most
            continue
        corners.append((int(np.count_nonzero(corner(signals))), corner))
    return min(corners, key=lambda pair: pair[0])[1] if corners else rule


def check_tests(
    signals: pa.RecordBatch, rule: Filter, asked: Mapping[str, Mapping[Number, Mask]]
) -> None:
    """Raise ValueError unless the rule drops what any of its tests drops, wherever they are set."""
    draws = keyed_generator(rule.reason.encode(), "what if")
    drawn = [
        {name: list(at)[int(draws.integers(len(at)))] for name, at in asked.items()}
        for _ in range(CHECKED_SETTINGS)
    ]
    for values in ({name: getattr(rule, name) for name in asked}, *drawn):
        try:
            expected = replace(rule, **values)(signals)
        except ValueError:  # the recipe would refuse this setting, too
            continue
        if not np.array_equal(expected, np.any([asked[name][values[name]] for name in asked], 0)):
            raise ValueError("its numbers do not decide one by one")


def make_slider(name: str, asked: Mapping[Number, Mask], value: Number) -> Slider:
    """Raises ValueError where a row flips more than once."""
    dropped = np.array(list(asked.values()))  # [positions, rows]
    changes = dropped[1:] != dropped[:-1]
    if np.any(np.count_nonzero(changes, axis=0) > 1):
        raise ValueError(f"{name} is no threshold: a row changes sides twice")
    flips = np.where(changes.any(axis=0), changes.argmax(axis=0) + 1, POSITION_BITS)
    positions = tuple(asked)
    return Slider(
        field=name,
        positions=positions,
        start=positions.index(value),
        drops=tuple(map(int, np.count_nonzero(dropped, axis=1))),
        flips=(flips + BEGINS_DROPPED * dropped[0]).astype(np.uint8).tobytes(),
    )


def _hold(dropped: Mask) -> bytes:
    return (POSITION_BITS + BEGINS_DROPPED * dropped).astype(np.uint8).tobytes()


def show_toml(value: Any) -> str:
    """A setting as a recipe says it."""
    if isinstance(value, Mapping):
        items = ", ".join(f"{key} = {show_toml(item)}" for key, item in value.items())
        return f"{{ {items} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(show_toml, value))}]"
    return repr(value) if isinstance(value, float) else json.dumps(value)
