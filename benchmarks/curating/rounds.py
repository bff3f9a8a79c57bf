"""What every peer's script is: it reads the rows, then answers each line with one timed round.

    PEER/bin/python PROGRAM.py ROWS.parquet MODEL

Runs under the other program's own interpreter, so that it imports nothing of ours. A line on
standard input starts a round; its answer is one line of JSON: CPU seconds, wall seconds, rows kept.
"""

import json
import sys
import time
from collections.abc import Callable

MIN_CHARS, MIN_WORDS, MIN_SIDE_PX, MAX_ASPECT = 6, 3, 200, 3.0
"""DataComp's basic filter: > 5 characters, > 2 words, English, >= 200 pixels, aspect <= 3."""


def answer_rounds(run: Callable[[], int]) -> None:
    """Run one round for each line of standard input.

    Args:
        run: one round over all the rows; how many it keeps.
    """
    answers = sys.stdout
    sys.stdout = sys.stderr  # what the other program prints is no answer
    run()  # its models and tables are loaded now
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        kept = run()
        spent = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
        print(json.dumps(spent | {"kept": kept}), file=answers, flush=True)
