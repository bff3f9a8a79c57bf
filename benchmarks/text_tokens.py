"""Captions per CPU second: our text tokenizer against Hugging Face `tokenizers`, in one run.

    python benchmarks/text_tokens.py

200,000 captions that all differ (`made_captions.py`) go through both with the bundled vocabulary on
one thread, in batches of 10,000, as many as a unit of a build has; without dropout all ids are
checked to be equal first. With dropout (0.1, the paper's) the two draw differently, because only
ours has a seed for each caption; `tests/tokens/test_dropout.py` compares their distributions.
Rounds alternate and each takes another part of the captions; each figure is the median of seven.
CPU time, because machines are shared: trust the ratio. `--captions FILE` takes captions of your
own, one per line.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"  # read when the library starts its threads

from made_captions import make_captions
from tokenizers import Tokenizer

from tokens.bundled import BUNDLED, TEXT_FILE, locate
from tokens.text import load_text_tokenizer, lower_cased

BATCH = 10_000
ROUNDS = 7
DROPOUT = 0.1


def in_batches(encode: Callable[[list[str]], object], captions: Sequence[str]) -> None:
    for start in range(0, len(captions), BATCH):
        encode(list(captions[start : start + BATCH]))


def make_programs() -> dict[str, Callable[[list[str]], object]]:
    """Each program by its name."""
    ours, peer, dropping = load_text_tokenizer(BUNDLED), read_peer(), read_peer()
    dropping.model.dropout = DROPOUT

    def drop(captions: list[str]) -> object:
        keys = [number.to_bytes(17, "little") for number in range(len(captions))]
        return ours.encode(captions, dropout=DROPOUT, keys=keys)

    return {
        "pairmill": ours.encode,
        "tokenizers": peer.encode_batch,
        "pairmill, dropout": drop,
        "tokenizers, dropout": dropping.encode_batch,
    }


def read_peer() -> Tokenizer:
    return Tokenizer.from_file(locate(BUNDLED, TEXT_FILE))


def check(captions: Sequence[str]) -> None:
    """Every caption's ids are those of `tokenizers`."""
    lowered = [lower_cased(caption) for caption in captions]
    peer = read_peer()
    peer.normalizer = None  # its lower case follows a Unicode version of its own
    expected = [index for one in peer.encode_batch(lowered) for index in one.ids]
    found = load_text_tokenizer(BUNDLED).encode(captions, max_tokens=1 << 20).ids.tolist()
    assert found == expected, "the two disagree"


def cpu_seconds(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


def measure(captions: Sequence[str]) -> dict[str, float]:
    """Captions per CPU second of each program."""
    programs = make_programs()
    times: dict[str, list[float]] = {name: [] for name in programs}
    part = len(captions) // ROUNDS
    for number in range(ROUNDS):
        some = captions[number * part : (number + 1) * part]
        for name, encode in programs.items():
            times[name].append(cpu_seconds(lambda: in_batches(encode, some)))  # noqa: B023
    return {name: part / statistics.median(spent) for name, spent in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--captions", type=Path, metavar="FILE", help="one caption per line")
    file = parser.parse_args().captions
    captions = make_captions(200_000) if file is None else file.read_text("utf-8").splitlines()
    check(captions)
    rates = measure(captions)
    found: dict[str, object] = {name: round(rate) for name, rate in rates.items()}
    for end in ("", ", dropout"):
        ratio = rates[f"pairmill{end}"] / rates[f"tokenizers{end}"]
        found[f"ratio{end}"] = round(ratio, 2)
    print(json.dumps({"captions": len(captions), "distinct": len(set(captions))} | found))


if __name__ == "__main__":
    main()
