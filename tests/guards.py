"""Takes every guard out in turn and shows that its test fails (`make guards`).

    python -m tests.guards                every guard, a few minutes
    python -m tests.guards cookies ports  two of them

A guard that can be removed unnoticed is no guard: exit status 1 names it. The guards, and what
stands in their place, are in `guard_table.py`.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.finding import TESTS, find_test
from tests.guard_plugin import FAILED
from tests.guard_table import GUARDS, Guard

TIMEOUT_S = 300.0
HANGS_S = 20
"""Seconds after which a test that hangs without its guard has failed."""
SOME_FAILED = 1
"""pytest's exit status where tests ran and some failed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a guard's tests without it."""

    guard: Guard
    unnoticed: tuple[str, ...]
    """Tests that passed all the same."""
    trouble: str
    """Why the run says nothing, where it does not."""
    seconds: float

    @property
    def is_held(self) -> bool:
        return not self.unnoticed and not self.trouble

    def line(self) -> str:
        verdict = "held" if self.is_held else self.trouble or "UNNOTICED"
        return f"{self.guard.name:24} {self.seconds:5.1f} s  {verdict}"


def try_without(guard: Guard) -> Finding:
    """Run a guard's tests without it, in a process of their own."""
    nodes = [find_test(test) for test in guard.tests]
    without = ("--without_guard", guard.name, f"--timeout={HANGS_S}")
    options = (*without, "--tb=no", "-q", "-s", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", "-p", "tests.guard_plugin", *options, *nodes]
    started = time.monotonic()
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=TESTS.parent, timeout=TIMEOUT_S, check=False
    )
    failed = [
        line.removeprefix(FAILED) for line in done.stdout.splitlines() if line.startswith(FAILED)
    ]
    unnoticed = tuple(node for node in nodes if not any(_is_of(one, node) for one in failed))
    last = (done.stdout + done.stderr).strip().rpartition("\n")[2]
    trouble = "" if done.returncode in (0, SOME_FAILED) else f"pytest: {last}"
    return Finding(guard, unnoticed, trouble, time.monotonic() - started)


def _is_of(failed: str, node: str) -> bool:
    """The failed test is `node` or one of its parametrised cases."""
    return failed == node or failed.startswith(f"{node}[")


def main(argv: Sequence[str] | None = None) -> int:
    """Try the guards that are named, or all; 0 where every one is held by its tests."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.guards",
        description="Takes every guard out and expects its test to fail.",
    )
    names = [guard.name for guard in GUARDS]
    parser.add_argument("guards", nargs="*", metavar="GUARD", help=f"of: {', '.join(names)}")
    wanted = parser.parse_args(argv).guards
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        parser.error(f"no such guard: {', '.join(unknown)}")
    findings = []
    for guard in GUARDS:
        if not wanted or guard.name in wanted:
            findings.append(try_without(guard))
            print(findings[-1].line(), flush=True)
            for test in findings[-1].unnoticed:
                print(f"    passes without it: {test}")
    loose = [finding.guard.name for finding in findings if not finding.is_held]
    print(f"{len(findings) - len(loose)} of {len(findings)} guards are held by their tests")
    return 1 if loose else 0


if __name__ == "__main__":
    raise SystemExit(main())
