"""CPU seconds that a local build of eight pictures takes: Beam's imports, and the rest.

    python benchmarks/start_up.py [--rounds 5]

Runs `pipelines.build --until fetch` on two processes with eight small pictures from nginx on
loopback, and beside each round two processes that import Beam and nothing else: as everybody does
(`import apache_beam`), and as the process does that workers are forked from
(`pipelines.running.bare_beam`). The rest is the build less as many of the latter as there are
processes that import Beam, which a run before the rounds counts (PYTHONPROFILEIMPORTTIME) and
which leaves everybody's bytecode, as an installation by pip does: where Python must compile Beam
anew, its import costs three times as much. Everything is counted that the build set to work, what
outlives its parent as well. Medians; machines are noisy, so compare within one run only.
"""

import argparse
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fetching.pictures import make_pictures
from fetching.programs import BENCHMARKS, Task, Usage, keep_bytecode, run_counted, run_program
from fetching.server import Server, run_nginx

from pipelines.running.fork_server import NO_THREADS

FEW = 8
PROGRAM = "pairmill http"
IMPORT = "import apache_beam"
OURS = "import pipelines.running.bare_beam"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="of which the median (default 5)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as work:
        Path(work).chmod(0o755)  # nginx reads as nobody
        pictures = make_pictures(Path(work) / "pictures", FEW, 300, 600)
        with run_nginx(pictures, Path(work) / "nginx") as server:
            run = Start(Path(work), server)
            imports = run.count_imports()
            beams = [(run.python(IMPORT), run.python(OURS), run.build()) for _ in range(rounds)]
    plain_s, ours_s, whole_s = (
        statistics.median(used.cpu_s for used in column) for column in zip(*beams, strict=True)
    )
    rest_s = statistics.median(whole.cpu_s - imports * ours.cpu_s for _, ours, whole in beams)
    wall_s = statistics.median(whole.wall_s for _, _, whole in beams)
    print(f"a build of {FEW} pictures, 2 processes, medians of {rounds} (CPU seconds)")
    print(f"  whole {whole_s:.2f} ({wall_s:.2f} on the clock)")
    print(f"  Beam's import {plain_s:.2f}; as we do it {ours_s:.2f}, in {imports} processes")
    print(f"  the rest {rest_s:.2f}")
    return 0


@dataclass(frozen=True, slots=True)
class Start:
    """Programs that start with bytecode of their own."""

    work: Path
    server: Server

    @property
    def environment(self) -> dict[str, str]:
        return keep_bytecode(self.work)

    def build(self, **more: str) -> Usage:
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            task = Task(Path(folder), self.server, FEW, 256)
            return run_program(PROGRAM, task, self.environment | more)

    def python(self, program: str) -> Usage:
        path = {"PYTHONPATH": str(BENCHMARKS.parent), **NO_THREADS}
        return run_counted([sys.executable, "-c", program], self.work, self.environment | path)

    def count_imports(self) -> int:
        """How many processes of a build import Beam."""
        said = self.build(PYTHONPROFILEIMPORTTIME="1").errors.splitlines()
        return sum(line.split("|")[-1].strip() == "apache_beam" for line in said)


if __name__ == "__main__":
    raise SystemExit(main())
