"""The other programs, each in an interpreter of its own that waits for its turn."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Round:
    """One round over all the rows."""

    cpu_s: float
    wall_s: float
    kept: int


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that answers a line with a round."""

    process: subprocess.Popen[str]

    def run(self) -> Round:
        assert self.process.stdin and self.process.stdout
        print(file=self.process.stdin, flush=True)
        return Round(**json.loads(self.process.stdout.readline()))


@dataclass(frozen=True, slots=True)
class Program:
    """A script of this folder and what it gets."""

    script: str
    python: Path
    """The interpreter of an environment that the other program is installed in."""
    arguments: tuple[str | Path, ...]


@contextmanager
def start_peers(
    programs: Mapping[str, Program], variables: Mapping[str, str]
) -> Iterator[dict[str, Peer]]:
    """Each named program, ready; they end with the context.

    Raises:
        ValueError: one did not start.
    """
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(start_peer(program, variables))
            for name, program in programs.items()
        }


@contextmanager
def start_peer(program: Program, variables: Mapping[str, str]) -> Iterator[Peer]:
    process = subprocess.Popen(
        [program.python, HERE / program.script, *program.arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | variables,
    )
    try:
        assert process.stdout
        if process.stdout.readline().strip() != "ready":
            raise ValueError(f"{program} did not start: run it by hand to see why")
        yield Peer(process)
    finally:
        process.kill()
        process.communicate()
