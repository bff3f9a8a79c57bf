"""Precision and recall of a build's rules and near duplicates, against the labels.

    python benchmarks/labels/score.py CORPUS

CORPUS is a build of the whole collection, made at least `--until select`, with the recipe that is
to be judged (`docs/curation.md` has the commands). Prints Markdown: each rule of text against the
label that it is after, every language policy, what kept captions say of their pictures, and near
duplicates by the bits that their hashes differ in. Nothing here is read by a build.
"""

import argparse
import json
from collections.abc import Iterable
from typing import get_args, get_type_hints

import numpy as np
import pyarrow.compute as pc
from agreement import Agreement, Bools, compare_pairs, compare_rows
from corpus import HERE, Corpus, labelled, read_corpus, read_labels

from filters import Language
from filters.filter import Filter
from filters.signals import SIGNALS

MEANT = {
    "boilerplate": ("boilerplate", "yes"),
    "caption_length": ("uninformative", "yes"),
    "caption_repetition": ("boilerplate", "yes"),
    "contacts": ("personal_data", "yes"),
    "language": ("language", "other"),
    "profanity": ("profanity", "yes"),
}
"""The label that a rule is after; the other rules of text are held against them all."""
OF_PICTURES = {name for one in SIGNALS if one.needs != "caption" for name, _ in one.columns}
OF_CLIP = {"clip_similarity", "clip_truncated", "aesthetic_score", "nsfw_score"}
CLOSE_STRATA = 4
"""The strata of the 64,000 most alike pairs."""
MOST_BITS = 12


def reads_captions(rule: Filter) -> bool:
    return not set(rule.signals) & (OF_PICTURES | OF_CLIP)


def judge_rules(corpus: Corpus) -> Iterable[tuple[str, Agreement]]:
    """Each rule that reads captions, then all of them together."""
    labels = read_labels("rows.csv")
    rows = corpus.take([row["path"] for row in labels])
    bad = np.logical_or.reduce([labelled(labels, *meant) for meant in set(MEANT.values())])
    rules = [rule for rule in corpus.recipe.select.rules if reads_captions(rule)]
    for rule in rules:
        column, value = MEANT.get(rule.reason, ("anything", ""))
        wanted = labelled(labels, column, value) if rule.reason in MEANT else bad
        yield f"{rule.reason} ~ {column}", compare_rows(corpus.fires(rule, rows), wanted)
    for rule in rules:
        if rule.reason in MEANT:
            yield f"{rule.reason} ~ anything", compare_rows(corpus.fires(rule, rows), bad)
    fired = np.logical_or.reduce([corpus.fires(rule, rows) for rule in rules])
    yield "all of them ~ anything", compare_rows(fired, bad)


def judge_policies(corpus: Corpus) -> Iterable[tuple[str, list[str]]]:
    """Per policy the labelled captions that it drops, of each language, and of all captions."""
    labels = read_labels("rows.csv")
    rows = corpus.take([row["path"] for row in labels])
    for policy in get_args(get_type_hints(Language)["policy"]):
        rule = Language(policy=policy)
        dropped = corpus.fires(rule, rows)
        cells = []
        for language in ("en", "other", "undetermined"):
            of_language = labelled(labels, "language", language)
            cells.append(f"{(dropped & of_language).sum()} of {of_language.sum()}")
        everywhere = corpus.fires(rule, corpus.rows)
        yield policy, [*cells, f"{everywhere.sum():,} of {len(everywhere):,}"]


def judge_kept(corpus: Corpus) -> Iterable[tuple[str, list[str]]]:
    """What captions say of their pictures, among labelled rows that were kept and that were not."""
    labels = read_labels("rows.csv")
    reasons = corpus.take([row["path"] for row in labels])["reason"]
    kept = np.array(pc.equal(reasons, "kept").to_pylist(), bool)
    for name, chosen in (("kept", kept), ("dropped", ~kept)):
        values = [labelled(labels, "describes", value) for value in ("yes", "partly", "no")]
        yield name, [str(chosen.sum()), *(str((chosen & value).sum()) for value in values)]


def judge_hashes(corpus: Corpus, series: bool) -> Iterable[tuple[str, Agreement]]:
    """Near duplicates among the most alike pairs, by the bits that they may differ in.

    A pair of which one picture was refused is not counted. The last lines ask for more than
    equal hashes: equal captions, equal pixels.

    Args:
        series: count the pairs of two line stars of one series too.
    """
    pairs = [pair for pair in read_labels("pairs.csv") if int(pair["stratum"]) < CLOSE_STRATA]
    strata = np.array([int(pair["stratum"]) for pair in pairs])
    firsts, seconds = [pair["first"] for pair in pairs], [pair["second"] for pair in pairs]
    bits = count_bits(corpus, firsts, seconds)
    counted = np.array([series or pair["note"] != "star series" for pair in pairs]) & (bits <= 64)
    wanted = labelled(pairs, "near_duplicate", "yes") & counted
    for most in range(MOST_BITS + 1):
        yield f"{most}", compare_pairs((bits <= most) & counted, wanted, strata, read_sizes())
    for column, name in (("caption", "0, same caption"), ("pixel_hash", "same pixels")):
        alike = (bits == 0) & counted & share(column, corpus, firsts, seconds)
        yield name, compare_pairs(alike, wanted, strata, read_sizes())


def share(column: str, corpus: Corpus, firsts: list[str], seconds: list[str]) -> Bools:
    """Whether both pictures of a pair have the same in a column."""
    one, other = (corpus.take(paths)[column].to_pylist() for paths in (firsts, seconds))
    return np.array([first == second for first, second in zip(one, other, strict=True)], bool)


def count_bits(corpus: Corpus, firsts: list[str], seconds: list[str]) -> np.ndarray:
    """How many of 64 bits each two pictures' hashes differ in; 65 where one was not fetched."""
    one, other = (corpus.take(paths)["phash"] for paths in (firsts, seconds))
    bits = pc.bit_wise_xor(one, other)
    counted = np.bitwise_count(bits.fill_null(0).to_numpy()).astype(int)
    return np.where(bits.is_valid().to_numpy(), counted, 65)


def read_sizes() -> dict[int, int]:
    strata = json.loads((HERE / "strata.json").read_text(encoding="utf-8"))
    return {stratum["stratum"]: stratum["pairs"] for stratum in strata}


def count_far(corpus: Corpus) -> list[str]:
    """The bits between pairs that are not alike: how many of those drawn come close."""
    pairs = [pair for pair in read_labels("pairs.csv") if int(pair["stratum"]) >= CLOSE_STRATA]
    bits = count_bits(corpus, [p["first"] for p in pairs], [p["second"] for p in pairs])
    return [str(len(pairs)), str(int(bits.min())), str(int(np.median(bits)))]


def show(title: str, heads: Iterable[str], lines: Iterable[tuple[str, list[str]]]) -> None:
    names = list(heads)
    print(f"\n{title}\n\n| {' | '.join(names)} |\n|{'---|' * len(names)}")
    for name, cells in lines:
        print(f"| {name} | {' | '.join(cells)} |")


def as_cells(found: Agreement) -> list[str]:
    counts = [str(found.flagged), str(found.labelled), str(found.both)]
    return [*counts, str(found.precision), str(found.recall)]


def show_agreements(title: str, what: str, found: Iterable[tuple[str, Agreement]]) -> None:
    heads = (what, "flagged", "labelled", "both", "precision", "recall")
    show(title, heads, ((name, as_cells(one)) for name, one in found))


def main() -> None:
    parser = argparse.ArgumentParser(description="Hold a build against the labels.")
    parser.add_argument("corpus", metavar="CORPUS", help="a build's folder")
    corpus = read_corpus(parser.parse_args().corpus)
    show_agreements("Rules of text, 200 rows", "rule ~ label", judge_rules(corpus))
    heads = ("policy", "English", "other", "undetermined", "all captions")
    show("Language policies: captions dropped", heads, judge_policies(corpus))
    show("What captions say", ("rows", "rows", "yes", "partly", "no"), judge_kept(corpus))
    show_agreements("Pairs, without the star series", "bits", judge_hashes(corpus, series=False))
    show_agreements("Pairs, all", "bits", judge_hashes(corpus, series=True))
    show(
        "Pairs that are not alike", ("", "drawn", "least bits", "median"), [("", count_far(corpus))]
    )
    print(f"\nclusters: {json.dumps(corpus.near_duplicates)}")


if __name__ == "__main__":
    main()
