from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from filters.bounds import Between, check_fields
from pipelines.toml_tables import read_table


@dataclass(frozen=True, slots=True)
class Bread:
    minutes: Annotated[int, Between(1, 600)] = 45
    kilograms: float = 0.5
    flour: Literal["rye", "wheat"] = "rye"
    seeds: tuple[str, ...] = ()
    sliced: bool = False
    baker: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)


def test_reads_each_type_and_leaves_the_rest_at_its_default():
    table = {"minutes": 50, "kilograms": 1, "seeds": ["poppy"], "sliced": True, "baker": "Ann"}
    bread = read_table(Bread, table, "bread.toml [bread]")
    assert bread == Bread(50, 1.0, "rye", ("poppy",), True, "Ann")
    assert isinstance(bread.kilograms, float)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"minute": 5}, "b.toml has no key 'minute'; the nearest is 'minutes'"),
        ({"xyz": 5}, "b.toml has no key 'xyz'; the nearest is '[a-z]+'"),
        ({"minutes": "5"}, "b.toml minutes is '5'; give a whole number"),
        ({"minutes": 5.0}, "b.toml minutes is 5.0; give a whole number"),
        ({"minutes": True}, "b.toml minutes is True; give a whole number"),
        ({"minutes": 0}, "b.toml minutes is 0; give a number from 1 to 600"),
        ({"kilograms": "1"}, "b.toml kilograms is '1'; give a number"),
        ({"flour": "oat"}, "b.toml flour is 'oat'; give one of 'rye', 'wheat'"),
        ({"seeds": "poppy"}, "b.toml seeds is 'poppy'; give a list of texts"),
        ({"seeds": ["poppy", 3]}, "b.toml seeds is 3; give a text in quotes"),
        ({"sliced": 1}, "b.toml sliced is 1; give true or false"),
        ({"baker": 1}, "b.toml baker is 1; give a text in quotes"),
        (7, "b.toml is 7; give a table"),
    ],
)
def test_refuses_in_one_sentence(table, complaint):
    with pytest.raises(ValueError, match=complaint) as failure:
        read_table(Bread, table, "b.toml")
    assert "\n" not in str(failure.value)
