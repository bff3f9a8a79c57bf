"""CPU seconds that a local build of eight pictures takes: Beam's imports, and the rest.

    python benchmarks/start_up.py [--rounds 5]

Runs `pipelines.build --until fetch` on two processes with eight small pictures from nginx on
loopback, and beside each round a bare `import apache_beam` in a process of its own. The rest is the
build less as many bare imports as there are processes that import Beam, which a run before the
rounds counts (PYTHONPROFILEIMPORTTIME). Everything is counted that the build set to work, what
outlives its parent as well. Medians; machines are noisy, so compare within one run only.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from fetching.pictures import make_pictures
from fetching.programs import Task, Usage, run_counted, run_program
from fetching.server import Server, run_nginx

FEW = 8
PROGRAM = "pairmill http"
IMPORT = [sys.executable, "-c", "import apache_beam"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="of which the median (default 5)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as work:
        Path(work).chmod(0o755)  # nginx reads as nobody
        pictures = make_pictures(Path(work) / "pictures", FEW, 300, 600)
        with run_nginx(pictures, Path(work) / "nginx") as server:
            imports = count_imports(Path(work), server)
            pairs = [(bare_import(Path(work)), build(Path(work), server)) for _ in range(rounds)]
    beam_s = statistics.median(bare.cpu_s for bare, _ in pairs)
    whole_s = statistics.median(whole.cpu_s for _, whole in pairs)
    rest_s = statistics.median(whole.cpu_s - imports * bare.cpu_s for bare, whole in pairs)
    wall_s = statistics.median(whole.wall_s for _, whole in pairs)
    print(f"a build of {FEW} pictures, 2 processes, medians of {rounds} (CPU seconds)")
    print(f"  whole {whole_s:.2f} ({wall_s:.2f} on the clock)")
    print(f"  Beam's import {beam_s:.2f}, in {imports} processes")
    print(f"  the rest {rest_s:.2f}")
    return 0


def build(work: Path, server: Server, **environment: str) -> Usage:
    with tempfile.TemporaryDirectory(dir=work) as folder:
        return run_program(PROGRAM, Task(Path(folder), server, FEW, 256), environment)


def bare_import(work: Path) -> Usage:
    return run_counted(IMPORT, work, {})


def count_imports(work: Path, server: Server) -> int:
    """How many processes of a build import Beam."""
    said = build(work, server, PYTHONPROFILEIMPORTTIME="1").errors.splitlines()
    return sum(line.split("|")[-1].strip() == "apache_beam" for line in said)


if __name__ == "__main__":
    raise SystemExit(main())
