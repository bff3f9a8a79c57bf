"""Training samples per CPU second when captions are tokenised anew, and as they are stored.

    python benchmarks/recaption.py [--rounds 5]

The bundled sample's captions, repeated over 16,384 pairs, are re-tokenised with the bundled
vocabulary, 64 at a time, without dropout and with the paper's 0.1 (Ramesh et al. 2021, section
2.2, footnote 5). Printed are medians of alternating rounds in CPU microseconds a caption, and how
many samples a second one core of loading (`loader.py`) then feeds, at 5 us for all the rest.
"""

import argparse
import csv
import itertools
import statistics
import time
from pathlib import Path

import numpy as np

from model.loading.recaption import Recaptioner
from tokens.bundled import BUNDLED
from tokens.sequence import SequenceLayout
from tokens.text import load_text_tokenizer

SAMPLE = Path(__file__).parent.parent / "examples" / "clipart" / "captions.csv"
PAIRS, BATCH = 16_384, 64
LOADING_US = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    rounds = parser.parse_args().rounds
    with SAMPLE.open(encoding="utf-8", newline="") as opened:
        found = [row["caption"] for row in csv.DictReader(opened) if row["caption"]]
    captions = list(itertools.islice(itertools.cycle(found), PAIRS))
    pair_ids = np.frombuffer(np.random.default_rng(0).bytes(16 * PAIRS), "V16")
    tokenizer = load_text_tokenizer(BUNDLED)
    spent: dict[float, list[float]] = {0.0: [], 0.1: []}
    for epoch in range(rounds):
        for dropout, seen in spent.items():
            recaption = Recaptioner(tokenizer, SequenceLayout(), dropout, 0)
            start = time.process_time()
            for i in range(0, PAIRS, BATCH):
                recaption(captions[i : i + BATCH], pair_ids[i : i + BATCH], epoch)
            seen.append((time.process_time() - start) / PAIRS * 1e6)
    for dropout, seen in spent.items():
        cost_us = statistics.median(seen)
        rate = 1e6 / (cost_us + LOADING_US)
        print(f"dropout {dropout}: {cost_us:.1f} us a caption, {rate:,.0f} samples/s of one core")


if __name__ == "__main__":
    main()
