from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Oven:
    heat: Annotated[float, Between(50, 250)] = 180.0
    mode: Literal["grill", "fan"] = "fan"
    label: str = ""

    def __post_init__(self) -> None:
        check_fields(self)


@pytest.mark.parametrize("heat", [50, 250, 180.5])
def test_accepts_limits_and_what_lies_between(heat):
    assert Oven(heat=heat).heat == heat


@pytest.mark.parametrize("heat", [49.9, 250.1, float("nan"), float("inf")])
def test_refuses_what_lies_outside(heat):
    with pytest.raises(ValueError, match=f"heat is {heat!r}; give a number from 50 to 250"):
        Oven(heat=heat)


def test_refuses_a_word_that_is_no_choice():
    with pytest.raises(ValueError, match="mode is 'steam'; give one of 'grill', 'fan'"):
        Oven(mode="steam")
