"""What only a person knows of a corpus: a recipe's [card] table, or the flags of pipelines.card."""

import re
from dataclasses import asdict, dataclass
from datetime import date
from typing import Literal


@dataclass(frozen=True, slots=True)
class CardSection:
    """How a corpus is published. No part of the recipe's hash: it decides no row.

    What is not given is left out of `croissant.json`, and the card says that it is missing: nothing
    is made up. A day of publication is no exception. That of the build would give other bytes
    tomorrow for the same corpus, and is not when anybody published it.
    """

    name: str | None = None
    """What the corpus is called."""
    description: str | None = None
    """What it is and what it is for, in a few sentences."""
    license: str | None = None
    """Of the corpus as a whole: a URL, or an SPDX identifier. Each pair keeps its source's own."""
    url: str | None = None
    """Where it is published, http or https."""
    creator: str | None = None
    """Who made it."""
    creator_type: Literal["Person", "Organization"] = "Organization"
    """What the creator is."""
    version: str | None = None
    """As MAJOR.MINOR.PATCH, such as 1.0.0."""
    date_published: str | None = None
    """Day of publication, as YYYY-MM-DD."""
    cite_as: str | None = None
    """How it is to be cited."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not value.strip():
                raise ValueError(f"{name} is empty; give a text or leave it out")
        if self.url is not None and not re.match(r"https?://[^\s<>]+$", self.url):
            raise ValueError(f"url is {self.url!r}; give an address with http:// or https://")
        if self.version is not None and not re.match(r"\d+\.\d+\.\d+$", self.version):
            raise ValueError(f"version is {self.version!r}; give three numbers, such as 1.0.0")
        if self.date_published is not None:
            _check_day(self.date_published)


def _check_day(text: str) -> None:
    try:
        good = date.fromisoformat(text).isoformat() == text
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"date_published is {text!r}; give a day as YYYY-MM-DD")
