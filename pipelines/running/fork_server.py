"""The process that a local build's workers are forked from.

    driver ──asks for a worker──> fork server ──fork──> worker ──> decoding processes
              (multiprocessing)   Beam, pyarrow and
                                  the stages imported

Beam's import takes 5 CPU seconds and 200 MB. The fork server pays once: a worker begins in
milliseconds and shares the memory. The driver needs no Beam at all. The server ends when nobody who
could ask it is left, however they ended.
"""

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

PRELOAD = "pipelines.running.preload"

NO_THREADS = {
    "OPENBLAS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
"""What numpy and pyarrow obey when they are imported. A process with threads must not fork: the
child has none of them, but the locks that they held. Workers are one to a core as it is."""

FORK_ATTEMPTS, FORK_PAUSE_S = 5, 0.1

context = multiprocessing.get_context("forkserver")


def start() -> None:
    """Let the fork server begin its imports; does nothing where it runs already."""
    context.set_forkserver_preload([PRELOAD])
    resource_tracker.ensure_running()  # which ends with Ctrl-C let through again
    with environment(NO_THREADS), _interrupts_blocked():
        forkserver.ensure_running()


def fork(target: Callable[[Connection], None], connection: Connection) -> ForkServerProcess:
    """A worker that does `target`. The server is started again where somebody has killed it.

    Raises:
        EOFError, ConnectionError: it ends as often as it is asked.
    """
    for left in reversed(range(FORK_ATTEMPTS)):
        start()
        process = context.Process(target=target, args=(connection,), daemon=True)
        try:
            process.start()
            break
        except (EOFError, ConnectionError):  # it is ending just now
            if not left:
                raise
            time.sleep(FORK_PAUSE_S)
    return process


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Variables for what is imported and started within the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A process that is started meanwhile hears no Ctrl-C until it says what one is to do."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
