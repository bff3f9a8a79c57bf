"""Runs a command and counts the CPU time of all that came of it, whoever started or left it.

    python benchmarks/fetching/counting.py FILE COMMAND [ARGUMENT ...]

RUSAGE_CHILDREN holds no more than the descendants whose every ancestor was waited for: a process
that outlives its parent, such as multiprocessing's fork server and the workers that it forks, would
count for nothing. So this process adopts orphans (PR_SET_CHILD_SUBREAPER, Linux), waits for each of
them to end, and writes {"cpu_s", "wall_s", "orphans"} to FILE as JSON: seconds of the command
until it ended, CPU seconds of everything, and the number of orphans. Ends with the command's code.
"""

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
"""From linux/prctl.h."""
PATIENCE_S = 20.0
"""Seconds after the command's end in which all that it started must have ended."""


def main(argv: list[str]) -> int:
    file, command = Path(argv[0]), argv[1:]
    adopt_orphans()
    start = time.monotonic()
    code = subprocess.run(command, check=False).returncode
    wall_s = time.monotonic() - start
    orphans = reap()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    counted = {"cpu_s": used.ru_utime + used.ru_stime, "wall_s": wall_s, "orphans": orphans}
    file.write_text(json.dumps(counted))
    return code


def adopt_orphans() -> None:
    """Be the parent of every descendant whose own parent ends."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this kernel lets no process adopt orphans")


def reap() -> int:
    """Wait until no descendant is left; how many there were.

    Raises:
        TimeoutError: something goes on for ever, and the count would be wrong.
    """
    orphans, end = 0, time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            process, _status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return orphans
        orphans += process != 0
        if process == 0:
            time.sleep(0.01)
    raise TimeoutError(f"the command left a process that runs on after {PATIENCE_S:.0f} s")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
