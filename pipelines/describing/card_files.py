"""From a build's folder to `croissant.json` and `README.md` in it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import fsspec

from pipelines.commit import put_text
from pipelines.describing.card_facts import collect_facts
from pipelines.describing.card_section import CardSection
from pipelines.describing.croissant import CROISSANT_NAME, describe, find_missing, read_given
from pipelines.describing.dataset_card import CARD_NAME, write_page
from pipelines.doors import BadInput
from tokens.manifest import join_url


@dataclass(frozen=True, slots=True)
class WrittenCard:
    """Where the two files are, and what they lack."""

    page: str
    document: str
    missing: tuple[str, ...]

    def lines(self) -> Sequence[str]:
        told = [f"card: {self.page}, {self.document}"]
        if self.missing:
            told.append(
                f"the card lacks {', '.join(self.missing)}: give the recipe a [card] table, or run "
                "python -m pipelines.card"
            )
        return told


def write_card(directory: str, given: CardSection) -> WrittenCard:
    """Write both files anew.

    What `given` leaves out and an earlier `croissant.json` in the folder has stays as it is there.

    Raises:
        FileNotFoundError: no pairs are fetched in the folder.
        BadInput: the earlier document is not one of ours.
        ValueError: a manifest cannot be read.
    """
    url = join_url(directory, CROISSANT_NAME)
    told = merge(read_earlier(url), given)
    facts = collect_facts(directory)
    document = describe(directory, facts.folder, facts.published, facts.counts, facts.sources, told)
    missing = tuple(find_missing(document))
    page = join_url(directory, CARD_NAME)
    put_text(url, json.dumps(document, indent=1) + "\n")
    put_text(page, write_page(facts, told, missing))
    return WrittenCard(page, url, missing)


def read_earlier(url: str) -> CardSection:
    """What a person gave for the document that is there; nothing where there is none."""
    filesystem, path = fsspec.url_to_fs(url)
    try:
        text = filesystem.cat_file(path).decode()
    except FileNotFoundError:
        return CardSection()
    try:
        return read_given(json.loads(text))
    except (ValueError, TypeError, AttributeError) as err:
        raise BadInput(f"{url} is not ours ({err}); delete it to have it written anew") from err


def merge(earlier: CardSection, given: CardSection) -> CardSection:
    """What is given, and of the rest what was there; a creator keeps the type it came with."""
    new = {name: value for name, value in asdict(given).items() if value is not None}
    if given.creator is None:
        del new["creator_type"]
    return replace(earlier, **new)
