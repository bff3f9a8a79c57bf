"""Draw the rows and the pairs that a person labels, and show them on contact sheets.

    python benchmarks/labels/draw.py --png png/usr/share/openclipart/png \\
        --captions FOLDER/captions.csv --out NEW --sheets SHEETS

(`examples/make_sample.py` tells where the pictures and the table come from.) Writes NEW/rows.csv,
NEW/pairs.csv and NEW/strata.json, labels left empty, and SHEETS/*.png to look at. It reads
captions and pixels, never a signal or a decision of ours. Takes about three minutes of one core.

Rows: the 200 of all with the lowest keyed number, so that each row had the same chance.
Pairs: `thumbnails.py` puts every two pictures in order of a likeness that is not our perceptual
hash; each stratum of that order is drawn from by itself, with chances that are written down.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
from sheets import write_pair_sheets, write_row_sheets
from thumbnails import closest_pairs, distinct_files, read_thumbnails

from tokens.draw import keyed_generator, keyed_uniform

ROWS = 200
ROW_LABELS = (
    "language",
    "boilerplate",
    "uninformative",
    "describes",
    "personal_data",
    "profanity",
    "note",
)
PAIR_LABELS = ("near_duplicate", "change", "note")
STRATA = ((0, 1_000, 50), (1_000, 4_000, 50), (4_000, 16_000, 40), (16_000, 64_000, 40))
"""From rank, to rank, how many pairs are drawn of them."""
MORE_PAIRS = 100
"""Drawn besides of the first stratum: of its first 50 only 12 were near duplicates, too few."""
FAR_PAIRS = 20
"""Drawn of all pairs that are less alike than the last stratum."""


def read_captions(table: Path) -> dict[str, str]:
    """Caption by path below the collection's folder."""
    with table.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    return {unquote(urlsplit(row["url"]).path).lstrip("/"): row["caption"] for row in rows}


def draw_rows(captions: dict[str, str]) -> list[str]:
    return sorted(captions, key=lambda path: keyed_uniform(path.encode(), "labels"))[:ROWS]


def draw_pairs(png: Path, captions: dict[str, str]) -> tuple[list[dict[str, object]], list[dict]]:
    """The drawn pairs and the strata that they were drawn from."""
    files = distinct_files(png, sorted(captions))
    thumbnails = read_thumbnails(png, files)
    last = STRATA[-1][1]
    firsts, seconds = closest_pairs(thumbnails, last)
    generator = keyed_generator(b"pairs", "labels")
    pairs, strata = [], []
    for number, (low, high, count) in enumerate(STRATA):
        ranks = np.sort(generator.choice(np.arange(low, high), count, replace=False))
        found = [(int(firsts[rank]), int(seconds[rank])) for rank in ranks]
        pairs += [describe(number, files, *pair) for pair in found]
        strata.append({"stratum": number, "pairs": high - low, "drawn": count})
    close = set(zip(firsts.tolist(), seconds.tolist(), strict=True))
    far = draw_far(len(files), close, generator)
    pairs += [describe(len(STRATA), files, *pair) for pair in far]
    everything = len(files) * (len(files) - 1) // 2
    strata.append({"stratum": len(STRATA), "pairs": everything - last, "drawn": FAR_PAIRS})
    # Mixed, so that the labeller does not see which stratum a pair is of.
    shuffled = [pairs[place] for place in generator.permutation(len(pairs))]
    more = draw_more(firsts, seconds, files, shuffled, generator)
    strata[0]["drawn"] += len(more)
    return shuffled + more, strata


def draw_more(
    firsts: np.ndarray,
    seconds: np.ndarray,
    files: Sequence[str],
    drawn: Sequence[dict[str, object]],
    generator: np.random.Generator,
) -> list[dict[str, object]]:
    """Pairs of the first stratum that are not `drawn` yet."""
    known = {(pair["first"], pair["second"]) for pair in drawn}
    size = STRATA[0][1]
    ranked = zip(firsts[:size].tolist(), seconds[:size].tolist(), strict=True)
    fresh = [pair for pair in ranked if (files[pair[0]], files[pair[1]]) not in known]
    places = np.sort(generator.choice(len(fresh), MORE_PAIRS, replace=False))
    return [describe(0, files, *fresh[place]) for place in places]


def draw_far(
    count: int, close: set[tuple[int, int]], generator: np.random.Generator
) -> list[tuple[int, int]]:
    """Any two of `count` pictures that are not `close`, the smaller index first."""
    found: dict[tuple[int, int], None] = {}
    while len(found) < FAR_PAIRS:
        first, second = sorted(generator.choice(count, 2, replace=False).tolist())
        if (first, second) not in close:
            found[first, second] = None
    return list(found)


def describe(stratum: int, files: Sequence[str], first: int, second: int) -> dict[str, object]:
    return {"stratum": stratum, "first": files[first], "second": files[second]}


def write_table(file: Path, rows: Sequence[dict], labels: Sequence[str]) -> None:
    empty = dict.fromkeys(labels, "")
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, [*rows[0], *labels], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | empty for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw what a person labels.")
    parser.add_argument("--png", type=Path, required=True, help="the pictures' folder")
    parser.add_argument("--captions", type=Path, required=True, help="captions.csv of them all")
    parser.add_argument("--out", type=Path, required=True, help="a new folder for the tables")
    parser.add_argument("--sheets", type=Path, required=True, help="a folder for the sheets")
    args = parser.parse_args()
    captions = read_captions(args.captions)
    args.out.mkdir(parents=True)
    rows = [{"path": path, "caption": captions[path]} for path in draw_rows(captions)]
    write_table(args.out / "rows.csv", rows, ROW_LABELS)
    write_row_sheets(args.png, rows, args.sheets)
    pairs, strata = draw_pairs(args.png, captions)
    write_table(args.out / "pairs.csv", pairs, PAIR_LABELS)
    (args.out / "strata.json").write_text(json.dumps(strata, indent=1) + "\n", encoding="utf-8")
    write_pair_sheets(args.png, pairs, args.sheets)


if __name__ == "__main__":
    main()
