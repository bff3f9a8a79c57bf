"""A purge that is killed with -9 before each of its changes on disk in turn, then run again.

    python -m tests.pipelines.purging.purge_kills CORPUS LIST SCRATCH [EVERY]

Prints one line of JSON: at how many instants it was killed, and at which of them the second run
did not leave the bytes that a purge leaves which nobody disturbs. The process forks, so it must
have no threads: nothing is computed in it.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.commit import put_text
from pipelines.purging import flow as purge_flow
from tokens.manifest import join_url


def main(corpus: Path, listed: str, scratch: Path, every: int) -> None:
    whole = try_out(corpus, listed, scratch, None)
    instants, wrong = 0, []
    while True:
        ended, found = try_out(corpus, listed, scratch, instants * every)
        if ended:
            break
        if found != whole[1]:
            wrong.append(instants * every)
        instants += 1
    print(json.dumps({"instants": instants, "wrong": wrong, "files": len(whole[1])}))


def try_out(
    corpus: Path, listed: str, scratch: Path, kill_at: int | None
) -> tuple[bool, dict[str, bytes]]:
    """Purge a copy, killed before change `kill_at`, then again: whether it ended the first time,
    and what is there."""
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(corpus, scratch)
    ended = in_child(lambda: run(str(scratch), listed, kill_at)) == 0
    if not ended:
        assert in_child(lambda: run(str(scratch), listed, None)) == 0, kill_at
    found = (path for path in scratch.rglob("*") if path.is_file())
    found = (path for path in found if not path.name.startswith(".lock.json."))
    return ended, {str(path.relative_to(scratch)): path.read_bytes() for path in found}


def run(directory: str, listed: str, kill_at: int | None) -> None:
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # the child's only
    if kill_at is not None:
        changes = iter(range(kill_at))
        os.replace = dying(os.replace, changes)
        os.remove = dying(os.remove, changes)
    purge_flow.write_report = write_short_report
    purge_flow.purge(directory, [listed], "asked by mail")


def write_short_report(directory: str) -> str:
    """In the place of the page, whose sample of decoded pictures would take seconds."""
    page = join_url(directory, "report.html")
    put_text(page, "written anew\n")
    return page


def dying(change: Callable[..., Any], changes: Any) -> Callable[..., Any]:
    def act(*arguments: Any) -> Any:
        if next(changes, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(*arguments)

    return act


def in_child(act: Callable[[], None]) -> int:
    """The exit status of a child that does it."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException as err:
            os.write(2, f"{type(err).__name__}: {err}\n".encode())
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int([*sys.argv, "1"][4]))
