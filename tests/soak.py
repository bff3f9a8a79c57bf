"""A long fetch from a server that misbehaves at random: nothing may be lost, nothing may grow.

    python -m tests.soak --urls 100000 --minutes 30     as `make soak`
    python -m tests.soak --urls 2000                    a minute

The fault server runs in a process of its own and answers `/random/<n>` with a picture or any of
its faults, by seed; a part of the hosts dies on the way. Rows go through the fetch stage's own
function, in units, in one session, as in a worker. After each round of units this checks the
books, and that what had to arrive did; at the end, that memory, descriptors, threads, tasks and
child processes did not grow. Exit status 1 and the reason where something is wrong.
"""

import argparse
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa
from tqdm import tqdm

from pipelines.decoding.picture import StoredImage
from pipelines.fetch import fetch_rows
from pipelines.fetching.session import FetchSession
from pipelines.inputs.source import Row
from pipelines.ledger import FETCH_OUTCOMES, check_books, count_outcomes
from pipelines.sources import make_rows_table
from pipelines.web.addresses import AddressGuard
from pipelines.web.faults import Mix
from pipelines.web.settings import FetchSettings
from tests.soak_measure import HEADER, Sample, complaints, slope_mb_per_min, take_sample

UNIT_ROWS = 500
OPEN_UNITS = 2
NUM_HOSTS = 200
NUM_DYING_HOSTS = 5
DYING_RATIO = 0.05
LITERAL_RATIO = 0.5
"""Rows whose URL has an address, which has no host's limits; the others name hosts."""
MAX_LOST_RATIO = 0.01
"""Of the pictures that had to arrive; a machine that is busy with other things is late at times."""


@dataclass
class Soak:
    """One run, and what it has found so far."""

    seed: int
    port: int
    server_pid: int
    """A child of ours that is not to be counted."""
    samples: list[Sample] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    due: int = 0
    """Rows with a picture on a host that lives."""
    arrived: int = 0

    def url(self, number: int) -> str:
        """The same for the same seed and number."""
        draws = random.Random(f"{self.seed} host {number}")
        share = draws.random()
        if share < DYING_RATIO:
            host = f"dying-{draws.randrange(NUM_DYING_HOSTS)}.localhost"
        elif share < DYING_RATIO + LITERAL_RATIO:
            host = "127.0.0.1"
        else:
            host = f"host-{draws.randrange(NUM_HOSTS)}.localhost"
        return f"http://{host}:{self.port}/random/{number}"

    def is_due(self, number: int) -> bool:
        fine = Mix(self.seed).choose(f"/random/{number}") is None
        return fine and "//dying" not in self.url(number)

    def check_unit(self, numbers: range, pairs: pa.Table) -> None:
        """Balance a unit's books; raises RuntimeError where they do not."""
        outcomes, rows = pairs["outcome"].to_pylist(), pairs["row"].to_pylist()
        counts = count_outcomes(pairs["outcome"])
        check_books(len(numbers), counts, FETCH_OUTCOMES, f"rows {numbers[0]} to {numbers[-1]}")
        if rows != list(numbers):
            raise RuntimeError(f"rows {numbers[0]} to {numbers[-1]} are not each in its place")
        self.counts.update(counts)
        for number, outcome in zip(numbers, outcomes, strict=True):
            due = self.is_due(number)
            self.due += due
            self.arrived += due and outcome == "ok"

    def verdict(self) -> list[str]:
        """Everything that is wrong."""
        wrong = complaints(self.samples)
        if self.counts["internal_error"]:
            wrong.append(f"{self.counts['internal_error']} rows ended as internal_error")
        if self.due - self.arrived > MAX_LOST_RATIO * self.due:
            wrong.append(f"{self.due - self.arrived} of {self.due} sound pictures did not arrive")
        return wrong


@contextmanager
def fault_server_process(seed: int) -> Iterator[tuple[int, int]]:
    """Process id and port of a fault server."""
    command = [sys.executable, "-m", "pipelines.web.faultserver", "--port", "0"]
    server = subprocess.Popen([*command, "--seed", str(seed)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = re.search(r":(\d+)/", server.stdout.readline())
        if port is None:
            raise RuntimeError("the fault server did not start")
        yield server.pid, int(port[1])
    finally:
        server.terminate()
        server.communicate()


def make_settings(port: int) -> FetchSettings:
    """Short patience, or servers that hang and hosts that ask for a rest would fill the time."""
    return FetchSettings(
        guard=AddressGuard(("127.0.0.1/32",), (port,)),
        connect_timeout_s=1,
        total_timeout_s=1,
        max_retries=1,
        retry_wait_s=0.01,
        max_body_bytes=2**20,
        host_concurrency=4,
        host_delay_s=0,
        host_delay_factor=0,
        max_retry_after_s=1,
        host_budget_s=30,
    )


def run(soak: Soak, urls: int, seconds: float) -> None:
    """Fetch in rounds until the URLs or the time are used up."""
    started = time.monotonic()
    units = [range(at, min(at + UNIT_ROWS, urls)) for at in range(0, urls, UNIT_ROWS)]
    with (
        FetchSession(make_settings(soak.port), StoredImage(), "pairmill") as session,
        ThreadPoolExecutor(OPEN_UNITS) as threads,
        tqdm(total=urls, unit=" rows", mininterval=1) as bar,
    ):
        for at in range(0, len(units), OPEN_UNITS):
            if time.monotonic() - started > seconds:
                break
            for numbers, pairs in threads.map(
                lambda numbers: (numbers, fetch_unit(soak, numbers, session, bar)),
                units[at : at + OPEN_UNITS],
            ):
                soak.check_unit(numbers, pairs)
                del pairs
            rows, loop = soak.counts.total(), session._loop
            soak.samples.append(take_sample(started, rows, loop, soak.server_pid))


def fetch_unit(soak: Soak, numbers: range, session: FetchSession, bar: "tqdm[None]") -> pa.Table:
    rows = [Row(soak.url(number), "a caption") for number in numbers]
    return fetch_rows(make_rows_table(rows, 0, numbers[0]), session, bar.update)


def report(soak: Soak, wrong: Sequence[str]) -> str:
    """A small table of the beginning, the middle and the end, and the verdict."""
    shown = {0, len(soak.samples) // 5, len(soak.samples) // 2, len(soak.samples) - 1}
    slope = slope_mb_per_min(soak.samples)
    said = "too short to say" if slope is None else f"{slope:+.2f} MB a minute"
    outcomes = ", ".join(f"{name} {count}" for name, count in soak.counts.most_common())
    last = soak.samples[-1]
    return "\n".join(
        [
            HEADER,
            *(soak.samples[place].line() for place in sorted(shown)),
            f"{last.rows} rows in {last.at_s:.0f} s, {last.rows / last.at_s:.0f} a second",
            f"outcomes: {outcomes}",
            f"sound pictures: {soak.arrived} of {soak.due} arrived",
            f"memory after the warm-up: {said}",
            *(f"WRONG: {one}" for one in wrong),
            "failed" if wrong else "every row ended once, and nothing grew",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run; 0 where nothing is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description="A long fetch from a server that misbehaves at random.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--urls", type=int, default=100_000, help="rows at most")
    parser.add_argument("--minutes", type=float, default=30.0, help="no new round after so long")
    parser.add_argument("--seed", type=int, default=0, help="of the faults and the hosts")
    options = parser.parse_args(argv)
    with fault_server_process(options.seed) as (pid, port):
        soak = Soak(options.seed, port, pid)
        try:
            run(soak, options.urls, options.minutes * 60)
        except RuntimeError as err:
            print(f"failed: {err}", file=sys.stderr)
            return 1
    wrong = soak.verdict()
    print(f"seed {soak.seed}\n{report(soak, wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
