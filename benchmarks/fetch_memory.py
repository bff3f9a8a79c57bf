"""Memory of a fetching process and its decoder over 30,000 pictures.

    python benchmarks/fetch_memory.py [--pictures 30000]

One session, as in a worker, fetches units of 1,000 rows from nginx on loopback; after each the
resident memory of this process and of its decoding process is taken. Prints a line per 3,000
pictures, and the growth after the first 6,000.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fetching.pictures import make_pictures
from fetching.server import Server, run_nginx

from pipelines.decoding.picture import StoredImage
from pipelines.fetch import fetch_rows
from pipelines.fetching.session import FetchSession
from pipelines.sources import make_rows_table
from pipelines.web.addresses import AddressGuard
from pipelines.web.settings import FetchSettings

UNIT_ROWS = 1000
KNOWN = 3000
"""Different pictures; they come round again."""
WARM = 6000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=30_000, help="default 30000")
    number = parser.parse_args().pictures
    work = Path(tempfile.gettempdir()) / "pairmill-bench"
    pictures = make_pictures(work / "pictures-300", KNOWN, 300, 1600)
    with run_nginx(pictures, work / "nginx-memory") as server:
        samples = list(fetch_units(server, number))
    for done, own, child in samples:
        if done % (3 * UNIT_ROWS) == 0 or done == number:
            print(f"{done:>7,} pictures  {own:6.0f} MB  decoder {child:6.0f} MB")
    warm = next(sample for sample in samples if sample[0] >= min(WARM, number))
    own, child = (samples[-1][n] - warm[n] for n in (1, 2))
    print(f"growth after {warm[0]:,} pictures: {own:+.0f} MB, decoder {child:+.0f} MB")
    return 0


def fetch_units(server: Server, number: int) -> Iterator[tuple[int, float, float]]:
    """(pictures so far, MB of this process, MB of its children) after each unit."""
    guard = AddressGuard(("127.0.0.1/32",), (server.ports["http"],))
    with FetchSession(FetchSettings(guard=guard), StoredImage(256), "pairmill") as session:
        for start in range(0, number, UNIT_ROWS):
            urls = [server.url("http", f"{n % KNOWN}.jpg") for n in range(start, start + UNIT_ROWS)]
            rows = make_rows_table([(url, "a picture", None) for url in urls], 0, start)
            pairs = fetch_rows(rows, session, lambda _rows: None)
            assert set(pairs["outcome"].to_pylist()) == {"ok"}
            yield start + UNIT_ROWS, resident_mb(os.getpid()), sum(map(resident_mb, decoders()))


def decoders() -> list[int]:
    """Processes that we have started and that are no nginx."""
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    found = [int(one) for file in children for one in file.read_text().split()]
    return [one for one in found if b"nginx" not in Path(f"/proc/{one}/cmdline").read_bytes()]


def resident_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    raise SystemExit(main())
