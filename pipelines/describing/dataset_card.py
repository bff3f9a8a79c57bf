"""A corpus's card: Markdown for people, with the header that Hugging Face's hub reads.

Every figure is a manifest's; what only a person knows comes from the recipe's [card] table or from
flags, and what neither gives is said to be missing. Sections follow "Datasheets for Datasets"
(Gebru et al. 2018, arXiv 1803.09010) as far as a build can answer.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.describing.card_facts import CardFacts
from pipelines.describing.card_section import CardSection
from pipelines.describing.markdown import escape, fence, quote_yaml, table
from pipelines.report.meanings import explain

CARD_NAME = "README.md"

SIZES = {
    1_000: "n<1K",
    10_000: "1K<n<10K",
    100_000: "10K<n<100K",
    1_000_000: "100K<n<1M",
    10_000_000: "1M<n<10M",
    100_000_000: "10M<n<100M",
    1_000_000_000: "100M<n<1B",
    10_000_000_000: "1B<n<10B",
}
"""The hub's names for corpora of fewer pairs than that."""
MAX_LISTED_FILES = 1000
"""Files that the header names; a longer list is croissant.json's."""

TOKENIZERS = {
    "text_tokenizer_sha256": "text tokenizer, SHA-256",
    "text_vocab_size": "text vocabulary",
    "text_slots": "text tokens per caption at most",
    "image_tokenizer_name": "image tokenizer",
    "image_tokenizer_sha256": "image tokenizer, SHA-256",
    "image_tokenizer_licence": "image tokenizer's licence",
    "image_vocab_size": "image vocabulary",
    "grid_height": "rows of codes",
    "grid_width": "codes per row",
    "side_px": "side of the crop, pixels",
    "views": "crops per training pair",
    "numerics": "numerics",
    "code_agreement": "share of codes equal to fp32's",
}
"""Details of the tokens manifest, as the card calls them."""


def write_page(facts: CardFacts, given: CardSection, missing: Sequence[str]) -> str:
    """The card. The same manifests and the same given text make the same page.

    Args:
        missing: what `croissant.find_missing` names.
    """
    sections = (
        _write_title(given, missing),
        _write_figures(facts),
        _write_sources(facts),
        _write_funnel(facts),
        _write_recipe(facts),
        _write_tokenizers(facts),
        _write_limits(facts),
        PERSONAL_DATA.format(masked=_masked(facts.recipe), faces=_faces(facts.recipe)),
        TAKE_OUT.format(contact=escape(given.creator or "whoever published this corpus")),
    )
    return _write_header(facts, given) + "\n" + "\n\n".join(s.strip() for s in sections) + "\n"


def _write_header(facts: CardFacts, given: CardSection) -> str:
    lines = ["---", *_licence_lines(given.license)]
    if given.name is not None:
        lines.append(f"pretty_name: {quote_yaml(given.name)}")
    lines += ["task_categories:", "- text-to-image", "size_categories:"]
    lines.append(f"- {next((name for limit, name in SIZES.items() if facts.kept < limit), 'n>1T')}")
    return "\n".join([*lines, *_config_lines(facts), "---", ""])


def _licence_lines(licence: str | None) -> Iterator[str]:
    """The hub knows licences by their identifier in small letters; any other is a link."""
    if licence is None:
        return
    if "://" in licence:
        yield "license: other"
        yield f"license_link: {quote_yaml(licence)}"
    else:
        yield f"license: {quote_yaml(licence.lower())}"


def _config_lines(facts: CardFacts) -> Iterator[str]:
    """The first view's files, so that the hub shows rows and loads no older generation's."""
    splits = {split: facts.published.group(f"{split}/view0") for split in ("train", "val")}
    splits = {split: entries for split, entries in splits.items() if entries}
    if not splits or sum(map(len, splits.values())) > MAX_LISTED_FILES:
        return
    yield from ("configs:", "- config_name: view0", "  data_files:")
    for split, entries in splits.items():
        yield f"  - split: {'validation' if split == 'val' else split}"
        yield "    path:"
        yield from (f"    - {quote_yaml(f'{facts.folder}/{entry.name}')}" for entry in entries)


def _write_title(given: CardSection, missing: Sequence[str]) -> str:
    known = {
        "Published at": given.url,
        "By": given.creator,
        "Licence of the whole": given.license,
        "Version": given.version,
        "Published on": given.date_published,
        "To be cited as": given.cite_as,
    }
    lines = [f"- {what}: {_link(text)}" for what, text in known.items() if text is not None]
    return "\n\n".join(
        [
            f"# {escape(given.name or 'A corpus without a name')}",
            escape(given.description or "Nobody has described this corpus yet."),
            *(["\n".join(lines)] if lines else []),
            *([f"**Missing: {', '.join(map(escape, missing))}.** {REMEDY}"] if missing else []),
        ]
    )


def _link(text: str) -> str:
    """An address as a link, where nothing in it could end the link; anything else as text."""
    return f"<{text}>" if re.fullmatch(r"https?://[^\s<>]+", text) else escape(text)


REMEDY = (
    "Only a person knows these: give them in the recipe's `[card]` table, or to "
    "`python -m pipelines.card`."
)


def _write_figures(facts: CardFacts) -> str:
    what = "token shards" if facts.stage == "encode" else "pairs with pictures; no tokens yet"
    return (
        f"## What is in it\n\nText-image pairs from the web as {what}. One row is one pair"
        f"{' and crop' if facts.stage == 'encode' else ', fetched or not'}; columns, files and "
        f"their hashes are in `croissant.json`.\n\n{table(('', 'number'), facts.counts.items())}"
    )


def _write_sources(facts: CardFacts) -> str:
    if not facts.sources:
        return "## Sources\n\nThis build is older than the list of sources in its manifests."
    head = ("source", "licence as given", "rows", "kept")
    kept = ("kept", "ok")
    rows = [
        (
            escape(one.name),
            escape(one.license) or "none given",
            one.rows,
            next((one.counts[name] for name in kept if name in one.counts), 0),
        )
        for one in facts.sources
    ]
    return (
        "## Sources\n\n" + table(head, rows) + "\n\nA licence is what the list of links says; a "
        "pair's own, where there is one, is in its `license` column. Nobody has checked either."
    )


def _write_funnel(facts: CardFacts) -> str:
    dropped = [(f"`{name}`", rows, explain(name)) for name, rows in facts.dropped.items()]
    waiting = facts.rows_read - facts.decided.rows
    more = (
        [("not fetched yet", waiting, "the build has stopped before them")] if waiting > 0 else []
    )
    rows = [("rows read", facts.rows_read, ""), *dropped, *more, ("**kept**", facts.kept, "")]
    head = ("what became of the rows", "rows", "why")
    return "## From the rows read to the pairs kept\n\n" + table(head, rows)


def _write_recipe(facts: CardFacts) -> str:
    rules = facts.recipe.get("select", {}).get("rules", [])
    listed = [
        (
            f"`{rule['filter']}`",
            escape(", ".join(f"{key} = {value}" for key, value in rule.items() if key != "filter")),
        )
        for rule in rules
    ]
    text = table(("rule, in order", "settings"), listed) if listed else "No rule."
    whole = fence(json.dumps(facts.recipe, indent=1, sort_keys=True), "json")
    return (
        f"## Recipe\n\nSHA-256 of the recipe: `{facts.recipe_sha256}`.\n\n{text}\n\n"
        f"<details><summary>The whole recipe</summary>\n\n{whole}\n\n</details>"
    )


def _write_tokenizers(facts: CardFacts) -> str:
    if facts.stage != "encode":
        return "## Tokenizers\n\nNo tokens are made yet."
    details: Mapping[str, Any] = facts.published.details
    rows = [(name, escape(str(details[key]))) for key, name in TOKENIZERS.items() if key in details]
    share = facts.recipe.get("select", {}).get("validation_share")
    return (
        "## Tokenizers and splits\n\n" + table(("", "value"), rows) + "\n\nA share of "
        f"{share} of the pictures is held out as `val`, by a hash of what the picture is: one "
        "picture is never on both sides."
    )


def _write_limits(facts: CardFacts) -> str:
    select = facts.recipe.get("select", {})
    near = "dropped" if select.get("near_duplicates") else "not looked for"
    overlap = "looked for" if select.get("eval_sets") else "not looked for"
    return (
        "## Known limits\n\n"
        "- Captions are what the web wrote beside a picture: often wrong, and as biased as it is."
        "\n"
        "- Links rot: the same list fetched on another day gives other pairs.\n"
        "- Pictures were shrunk and compressed again; codes keep less of them still.\n"
        f"- Near duplicates were {near}.\n"
        f"- Overlap with evaluation sets was {overlap}."
    )


def _masked(recipe: Mapping[str, Any]) -> str:
    kinds = recipe.get("encode", {}).get("mask_personal_data") or ()
    if not kinds:
        return "Nothing in captions was masked"
    return f"In captions that became tokens these were replaced by a word: {', '.join(kinds)}"


def _faces(recipe: Mapping[str, Any]) -> str:
    blurred = recipe.get("fetch", {}).get("blur_faces")
    return "faces that a source gives boxes of were blurred" if blurred else "no face was blurred"


PERSONAL_DATA = """## Personal data

Captions and pictures from the web name and show people, who were not asked. {masked}; {faces}.
Where pairmill fetched a picture, it obeyed the host's robots.txt and opt-outs; of pictures that
another program brought it cannot say so."""

TAKE_OUT = """## To take a pair out

Write to {contact} with the picture's URL or SHA-256, or the pair's `pair_id`. In the build's folder
`python -m pipelines.purge DIR --list FILE` then takes such pairs out of pictures, signals and token
shards and keeps them from coming back; trainers refuse the older generation."""
