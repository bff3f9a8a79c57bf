"""Captions per CPU second: our text tokenizer against Hugging Face `tokenizers`, in one run.

    python benchmarks/text_tokens.py

Both encode the bundled sample's captions, repeated to 20,000, with the bundled vocabulary on one
thread; the ids are checked to be equal first. Ours remembers each run of letters that it has met,
so that repetition, which web captions have too, is to its favour. Rounds alternate; each figure is
the median of seven. CPU time, because machines are shared: trust the ratio.
"""

import csv
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"  # read when the library starts its threads

from tokenizers import Tokenizer

from tokens.bundled import BUNDLED, TEXT_FILE, locate
from tokens.text import load_text_tokenizer, lower_cased

SAMPLE = Path(__file__).parent.parent / "examples" / "clipart" / "captions.csv"
CAPTIONS = 20_000
ROUNDS = 7


def read_captions() -> list[str]:
    with SAMPLE.open(encoding="utf-8", newline="") as opened:
        found = [row["caption"] for row in csv.DictReader(opened) if row["caption"]]
    return list(itertools.islice(itertools.cycle(found), CAPTIONS))


def cpu_seconds(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


def main() -> None:
    captions = read_captions()
    peer = Tokenizer.from_str(Path(locate(BUNDLED, TEXT_FILE)).read_text(encoding="utf-8"))
    ours = load_text_tokenizer(BUNDLED)
    lowered = [lower_cased(caption) for caption in captions]
    expected = [id_ for one in peer.encode_batch(lowered) for id_ in one.ids]
    assert ours.encode(captions).ids.tolist() == expected, "the two disagree"
    times: dict[str, list[float]] = {"pairmill": [], "tokenizers": []}
    for _ in range(ROUNDS):
        times["pairmill"].append(cpu_seconds(lambda: ours.encode(captions)))
        times["tokenizers"].append(cpu_seconds(lambda: peer.encode_batch(lowered)))
    rates = {name: CAPTIONS / statistics.median(spent) for name, spent in times.items()}
    ratio = rates["pairmill"] / rates["tokenizers"]
    print(
        json.dumps({name: round(rate) for name, rate in rates.items()} | {"ratio": round(ratio, 2)})
    )


if __name__ == "__main__":
    main()
