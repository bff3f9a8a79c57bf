"""Captions per CPU second of each text signal, and what a row of all of them costs.

    python benchmarks/text_signals.py [CAPTIONS COLUMN]

CAPTIONS is a CSV or Parquet file; without it the bundled sample's captions are measured. They are
repeated to 20,000. Each figure is the median of seven rounds of CPU time, one thread; rounds
alternate between the signals. Prints one JSON line. Other programs' filters: `curation.py`.
"""

import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from filters.masking import PERSONAL_DATA, mask_personal_data
from filters.signals import SIGNALS
from filters.signals.word_lists import Profanity

SAMPLE = Path(__file__).parent.parent / "examples" / "clipart" / "captions.csv"
CAPTIONS = 20_000
ROUNDS = 7


def read_captions(path: Path, column: str) -> pa.StringArray:
    table = pq.read_table(path) if path.suffix == ".parquet" else pa.csv.read_csv(path)
    found = [text for text in table[column].to_pylist() if text]
    return pa.array(itertools.islice(itertools.cycle(found), CAPTIONS))


def cpu_seconds(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


def main() -> None:
    path, column = (Path(sys.argv[1]), sys.argv[2]) if sys.argv[1:] else (SAMPLE, "caption")
    captions = read_captions(path, column)
    signals = [signal for signal in SIGNALS if signal.needs == "caption"] + [Profanity().load()]
    work = {signal.columns[0][0]: signal.measure for signal in signals}
    work["mask_personal_data"] = lambda texts: (mask_personal_data(texts, PERSONAL_DATA),)
    spent: dict[str, list[float]] = {name: [] for name in work}
    for act in work.values():
        act(captions[:100])  # what is loaded or compiled once
    for _ in range(ROUNDS):
        for name, act in work.items():
            spent[name].append(cpu_seconds(lambda act=act: act(captions)))
    seconds = {name: statistics.median(times) for name, times in spent.items()}
    all_signals = sum(seconds[signal.columns[0][0]] for signal in signals)
    rates = {name: round(len(captions) / time_s) for name, time_s in seconds.items()}
    print(json.dumps(rates | {"all signals": round(len(captions) / all_signals)}))


if __name__ == "__main__":
    main()
