"""An installation has every package that a checkout has."""

import configparser
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_setup_names_every_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    named = setup["options"]["packages"].split()
    there = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for top in ("pipelines", "filters", "model")
        for init in (ROOT / top).rglob("__init__.py")
    }
    assert {
        name for name in named if name.split(".")[0] in ("pipelines", "filters", "model")
    } == there
