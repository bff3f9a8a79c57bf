"""The soak finds what it is for, and a short one passes (N20; `make soak` is the long one)."""

from dataclasses import replace

import pyarrow as pa
import pytest

from tests import soak
from tests.soak_measure import Sample, complaints, slope_mb_per_min

FLAT = Sample(0.0, 0, 300.0, 60.0, 20, 7, 0, 1)


def run_of(**growth_per_sample: float) -> list[Sample]:
    """An hour's samples, one a minute."""
    return [
        replace(
            FLAT,
            at_s=60.0 * n,
            **{name: getattr(FLAT, name) + n * more for name, more in growth_per_sample.items()},
        )
        for n in range(60)
    ]


def test_a_short_soak_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["--urls", "600", "--minutes", "1", "--seed", "7"]) == 0

    said = capsys.readouterr().out
    assert "seed 7" in said
    assert "every row ended once, and nothing grew" in said


def test_a_flat_run_is_fine() -> None:
    assert complaints(run_of()) == []
    assert complaints(run_of(own_mb=0.9)) == []


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("own_mb", 1.1),
        ("children_mb", 1.1),
        ("descriptors", 1),
        ("threads", 1),
        ("tasks", 1),
        ("children", 1),
    ],
)
def test_tells_of_what_grows(name: str, more: float) -> None:
    (complaint,) = complaints(run_of(**{name: more}))

    assert ("memory" if name.endswith("_mb") else name) in complaint


def test_says_nothing_of_memory_after_a_minute() -> None:
    assert slope_mb_per_min(run_of(own_mb=50)[:3]) is None


@pytest.mark.parametrize(
    ("rows", "outcomes", "message"),
    [
        pytest.param([4, 5], ["ok", "ok"], "do not balance", id="a row was lost"),
        pytest.param([4, 5, 6, 6], ["ok"] * 4, "do not balance", id="a row was doubled"),
        pytest.param([4, 6, 5], ["ok"] * 3, "not each in its place", id="rows changed places"),
        pytest.param([4, 5, 6], ["ok", "ok", "fine"], "in no list", id="an unknown outcome"),
    ],
)
def test_stops_where_the_books_do_not_balance(
    rows: list[int], outcomes: list[str], message: str
) -> None:
    pairs = pa.table({"row": rows, "outcome": outcomes})

    with pytest.raises(RuntimeError, match=message):
        soak.Soak(0, 80, 0).check_unit(range(4, 7), pairs)


def test_tells_of_pictures_that_did_not_arrive() -> None:
    run = soak.Soak(0, 80, 0, samples=run_of(), due=1_000, arrived=989)
    run.counts["internal_error"] = 1

    assert run.verdict() == [
        "1 rows ended as internal_error",
        "11 of 1000 sound pictures did not arrive",
    ]
