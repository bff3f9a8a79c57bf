"""A row that brings out a fault of ours costs itself; more than a few such rows fail their unit."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines import score
from pipelines.dead_letters import check_faults, describe_fault
from pipelines.decoding.picture import Picture
from pipelines.fetching import session as fetch_session
from pipelines.score_faults import FAILURE
from tests.pipelines.small_build import (
    InlineDecoders,
    build_here,
    draw_rows,
    inline_decoders,
    write_source,
)
from tokens.manifest import Manifest, read_table

__all__ = ["inline_decoders"]

pytestmark = pytest.mark.usefixtures("inline_decoders")

POISON = "the picture with number 4"
Builder = Callable[..., dict[str, Manifest]]


@dataclass
class Poisoned(InlineDecoders):
    """A decoder with a fault of its own, which one picture brings out."""

    def make_picture(self, body: bytes, face_boxes: Any = ()) -> Picture:
        if body == draw_rows()["image"][4]:
            raise ZeroDivisionError("division by zero")
        return super().make_picture(body, face_boxes)


def poison_score(monkeypatch: pytest.MonkeyPatch, *captions: str) -> None:
    measure = score.SIGNALS[0].measure

    def fail(seen: pa.Array) -> tuple[Any, ...]:
        if set(captions) & set(seen.to_pylist()):
            raise KeyError("no such letter")
        return measure(seen)

    first = score.SIGNALS[0]
    assert first.needs == "caption"
    poisoned = replace(first, measure=fail)
    monkeypatch.setattr(score, "SIGNALS", (poisoned, *score.SIGNALS[1:]))


@pytest.fixture
def build(tmp_path: Path) -> Builder:
    source = write_source(tmp_path / "source")
    return lambda name: build_here(source, tmp_path / name)


def test_a_picture_that_brings_out_a_fault_in_fetch_costs_one_row(
    build: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_session, "Decoders", Poisoned)

    done = build("corpus")

    assert done["fetch"].counts == {"internal_error": 1, "ok": 7}
    assert done["select"].counts == {"duplicate_pair": 1, "internal_error": 1, "kept": 6}
    unit = read_table(str(tmp_path / "corpus" / "pairs"), done["fetch"].files[1]).to_pylist()
    letter = {name: unit[1][name] for name in ("source", "row", "outcome", "signal", "image")}
    assert letter == {
        "source": 0,
        "row": 4,
        "outcome": "internal_error",
        "signal": "ZeroDivisionError: division by zero",
        "image": None,
    }


def test_a_caption_that_brings_out_a_fault_in_score_costs_one_row(
    build: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = build("sound")
    poison_score(monkeypatch, POISON)

    done = build("corpus")

    assert done["select"].counts == {"duplicate_pair": 1, "internal_error": 1, "kept": 6}
    folder = str(tmp_path / "corpus" / "signals")
    found = read_table(folder, done["score"].files[1])
    expected = read_table(str(tmp_path / "sound" / "signals"), sound["score"].files[1])
    assert found[FAILURE].to_pylist() == [None, "KeyError: 'no such letter'", None]
    same = pa.array([True, False, True])
    assert found.drop_columns(FAILURE).filter(same) == expected.filter(same)
    assert done["score"].files[0].sha256 == sound["score"].files[0].sha256


def test_a_unit_of_many_such_rows_is_not_committed(
    build: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison_score(monkeypatch, POISON, "the picture with number 5")

    with pytest.raises(RuntimeError, match="2 of 3 rows ended as internal_error, more than the 1"):
        build("corpus")

    assert len(list((tmp_path / "corpus" / "signals").glob("*.parquet"))) == 1


@pytest.mark.parametrize(
    ("faults", "rows", "may"),
    [(1, 5, True), (2, 5, False), (100, 10_000, True), (101, 10_000, False)],
)
def test_one_row_in_a_hundred_may_but_always_one(faults: int, rows: int, may: bool) -> None:
    if may:
        check_faults(["fault"] * faults, rows)
    else:
        with pytest.raises(RuntimeError, match="the first: fault"):
            check_faults(["fault"] * faults, rows)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("at 0x7fa1b2c3d4e5", "ValueError: at 0x..."),
        (b"\x00 a 'b' \"c\"", "ValueError: <bytes>"),
        (f"cut off {b'a secret' * 9!r}"[:30], "ValueError: cut off <bytes>"),
        ("", "ValueError"),
        ("\udcff", "ValueError: ?"),
        ("é" * 1024, "ValueError: " + "é" * 506),
    ],
    ids=["address", "bytes", "bytes cut off", "nothing", "no text", "long"],
)
def test_tells_of_a_fault_without_bytes_in_a_kilobyte(message: object, told: str) -> None:
    assert describe_fault(ValueError(message)) == told
