"""An hour of accidents over a real build, which has to end with the bytes of one without any.

    python -m tests.chaos --minutes 60     as `make chaos`
    python -m tests.chaos --minutes 5

A server in this process serves drawn pictures; builds of them run as their users run them, a driver
and its workers. One accident after another befalls the build, by seed: its process group is killed
with -9, its disk fills up, a file that was just committed is cut short, a record is torn. Each time
the same command goes on. A build that has ended is compared with an undisturbed one, file by
file, and begun anew. Exit status 1 and the reason where a byte differs, or a command fails where
nothing befell it.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tests.pipelines.conftest import NUM_PICTURES, Site, build_command, draw_picture, make_handler
from tests.pipelines.small_build import read_corpus

PATIENCE_S = 900.0
"""For a build that nothing befalls."""
SMALLEST_FILE_BYTES = 2_000
LARGEST_FILE_BYTES = 60_000
"""Between them lies the file that a full disk cuts off: records pass, tables do not."""
TIMED = ("report.html", "report.json")


@dataclass
class Chaos:
    """One run: a build's command, what it must leave, and what befell it so far."""

    corpus: Path
    command: list[str]
    draws: random.Random
    expected: dict[str, Any]
    build_s: float
    befell: Counter[str] = field(default_factory=Counter)
    ended: int = 0

    def run_round(self) -> None:
        """One accident, and where the build survives it, the comparison."""
        name = self.draws.choice(list(ACCIDENTS))
        self.befell[name] += 1
        if ACCIDENTS[name](self):
            self.compare()

    def compare(self) -> None:
        """Raise RuntimeError unless the build is the undisturbed one; then begin anew."""
        found = read_all(self.corpus)
        wrong = [name for name in self.expected if found.get(name) != self.expected[name]]
        if wrong:
            raise RuntimeError(f"differs from the undisturbed build: {', '.join(wrong[:5])}")
        self.ended += 1
        shutil.rmtree(self.corpus)

    def finish(self) -> None:
        """The build to its end."""
        done = subprocess.run(
            self.command, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
        if done.returncode != 0:
            raise RuntimeError(
                f"exit status {done.returncode} though nothing befell: {done.stderr}"
            )


def kill(chaos: Chaos) -> bool:
    """kill -9 of the whole group at a random moment; whether the build had ended by then."""
    driver = start(chaos.command)
    try:
        _, errors = driver.communicate(timeout=chaos.draws.uniform(0.1, chaos.build_s))
    except subprocess.TimeoutExpired:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.communicate()
        return False
    if driver.returncode != 0:
        raise RuntimeError(f"exit status {driver.returncode} though nothing befell: {errors}")
    return True


def fill_disk(chaos: Chaos) -> bool:
    """No file may grow beyond a random size, as on a disk with just that much room."""
    room = chaos.draws.randint(SMALLEST_FILE_BYTES, LARGEST_FILE_BYTES)
    driver = start(chaos.command, lambda: limit_files(room))
    try:
        _, errors = driver.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired as err:
        os.killpg(driver.pid, signal.SIGKILL)
        raise RuntimeError("a build that had no room did not end") from err
    if driver.returncode == 0:
        return True
    if driver.returncode != 1 or not errors.splitlines()[-1].startswith("pairmill: "):
        raise RuntimeError(f"a full disk ended in {driver.returncode}: {errors}")
    return False


def truncate(chaos: Chaos) -> bool:
    """A committed table of a stage that has not been published loses its end."""
    return damage(chaos, "*.parquet")


def tear(chaos: Chaos) -> bool:
    """So does a record."""
    return damage(chaos, "*.parquet.json")


def damage(chaos: Chaos, pattern: str) -> bool:
    folders = [path for path in chaos.corpus.glob("*") if not (path / "manifest.json").exists()]
    found = sorted(path for folder in folders for path in folder.glob(pattern))
    if not found:
        return kill(chaos)
    path = chaos.draws.choice(found)
    os.truncate(path, chaos.draws.randrange(path.stat().st_size))
    return False


ACCIDENTS: dict[str, Callable[[Chaos], bool]] = {
    "kill": kill,
    "fill_disk": fill_disk,
    "truncate": truncate,
    "tear": tear,
}


def limit_files(largest_bytes: int) -> None:
    """In the child: writing beyond fails as on a full disk (EFBIG in the place of ENOSPC)."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_bytes, largest_bytes))


def start(
    command: Sequence[str], in_child: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    """A driver that leads a process group of its own."""
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=in_child,
    )


def read_all(corpus: Path) -> dict[str, Any]:
    return {name: content for name, content in read_corpus(corpus).items() if name not in TIMED}


@contextmanager
def serve_pictures() -> Iterator[Site]:
    """The site that the builds' tests have."""
    pictures = {f"/{number}.png": draw_picture(number) for number in range(NUM_PICTURES)}
    pictures["/page.png"] = b"<!doctype html><title>a page</title>"
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    site = Site(server.server_port)
    server.RequestHandlerClass = make_handler(site, pictures)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


def make_chaos(folder: Path, site: Site, seed: int) -> Chaos:
    """Build once without any accident."""
    recipe = folder / "small.toml"
    text = files("recipes").joinpath("demo.toml").read_text()
    recipe.write_text(text.replace("unit_rows = 50", "unit_rows = 5"))
    table, corpus = site.write_table(folder / "urls.csv"), folder / "corpus"
    command = [*build_command(table, corpus, recipe, site), "--direct_num_workers", "2"]
    chaos = Chaos(corpus, command, random.Random(seed), {}, 0.0)
    started = time.monotonic()
    chaos.finish()
    chaos.build_s = time.monotonic() - started
    chaos.expected = read_all(corpus)
    shutil.rmtree(corpus)
    return chaos


def run(chaos: Chaos, seconds: float) -> None:
    """Accidents until the time is used up, then one build to its end."""
    end = time.monotonic() + seconds
    with tqdm(unit=" accidents") as bar:
        while time.monotonic() < end:
            chaos.run_round()
            bar.update()
    chaos.finish()
    chaos.compare()


def main(argv: Sequence[str] | None = None) -> int:
    """Run; 0 where every build that ended is the undisturbed one."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Accidents over a real build, which has to end with the same bytes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="no new accident after so long")
    parser.add_argument("--seed", type=int, default=0, help="of the accidents and their moments")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, serve_pictures() as site:
        chaos = make_chaos(Path(folder), site, options.seed)
        try:
            run(chaos, options.minutes * 60)
        except RuntimeError as err:
            print(f"seed {options.seed}, after {dict(chaos.befell)}: {err}", file=sys.stderr)
            return 1
    accidents = ", ".join(f"{name} {count}" for name, count in sorted(chaos.befell.items()))
    print(f"seed {options.seed}: {accidents}; {chaos.ended} builds ended, each with the same bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
