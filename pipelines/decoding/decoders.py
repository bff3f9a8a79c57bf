"""Child processes that decode: a picture that hangs, crashes or balloons costs one row and no more.

    thread ──> free child ──socket──> decode_worker ──> picture, reason, or its death
                   ^                                          |
                   └──────── started again at the next picture ┘

`subprocess` and not `multiprocessing`, because the processes that fetch are daemonic and may have
no children of the latter's kind.
"""

import contextlib
import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from queue import LifoQueue
from types import TracebackType
from typing import Self

from pipelines.decoding.decode_frames import GREETING, receive, receive_picture, send_body
from pipelines.decoding.picture import DecodeLimits, Picture, StoredImage
from pipelines.fetching.refused import Refused

START = (
    "import gc, sys; gc.disable(); sys.path[:] = sys.argv[2:]; "
    "from pipelines.decoding.decode_worker import run; gc.freeze(); gc.enable(); run(sys.argv[1])"
)
"""The child's program. It takes over our `sys.path` as it stands: PYTHONPATH would put installed
packages before Python's own modules, which old backports among them then replace."""

KEPT_ENVIRONMENT = ("LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR")
"""Credentials are none of a picture's business."""
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
}

START_TIMEOUT_S = 60.0
"""Seconds for a child's imports (0.4 of CPU time) on a machine that is busy with other things."""
GRACE_S = 5.0
"""Seconds past its alarm after which a child that neither answers nor dies is killed."""
MAX_BYTES_PER_PIXEL = 4
"""No JPEG or PNG is stored with more: a reply beyond that is no picture."""


class Decoders:
    """Child processes that make pictures; a child starts at first use and again after a death.

    Blocking; safe from any thread: each call takes a free child, or waits for one.
    """

    def __init__(
        self,
        processes: int,
        limits: DecodeLimits,
        image: StoredImage,
        timeout_s: float,
        memory_bytes: int,
    ) -> None:
        settings = {
            "limits": asdict(limits),
            "image": asdict(image),
            "timeout_s": timeout_s,
            "memory_bytes": memory_bytes,
        }
        self._processes = processes
        self._closed = False
        self._free: LifoQueue[_Child] = LifoQueue()  # the one used last: the others may never start
        for _ in range(processes):
            max_bytes = limits.max_pixels * MAX_BYTES_PER_PIXEL
            self._free.put(_Child(json.dumps(settings), timeout_s + GRACE_S, max_bytes))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def make_picture(self, body: bytes, face_boxes: Sequence[float] = ()) -> Picture:
        """As `imaging.make_picture`, in a child.

        Raises:
            Refused: as there, or `decode_timeout`, `decode_crash` or `decode_oom`.
            RuntimeError: a child cannot even start: the installation is at fault, no picture.
        """
        assert not self._closed
        child = self._free.get()
        try:
            return child.make_picture(body, face_boxes)
        finally:
            self._free.put(child)

    def close(self) -> None:
        """End the children; waits for the pictures that are in work."""
        if not self._closed:
            for _ in range(self._processes):
                self._free.get().end()
        self._closed = True


class _Child:
    """One process and our end of its connection; used by one thread at a time."""

    def __init__(self, settings: str, patience_s: float, max_bytes: int) -> None:
        self._settings, self._patience_s, self._max_bytes = settings, patience_s, max_bytes
        self._running: tuple[subprocess.Popen[bytes], socket.socket] | None = None

    def make_picture(self, body: bytes, face_boxes: Sequence[float]) -> Picture:
        if self._running is not None and self._running[0].poll() is not None:
            self.end()  # it died idle: of no picture
        process, connection = self._running = self._running or self._start()
        try:
            send_body(connection, body, face_boxes)
            return receive_picture(connection, self._max_bytes)
        except Refused:
            raise
        except BlockingIOError:
            self.end()
            raise Refused("decode_timeout", "neither answered nor died of its alarm") from None
        except (EOFError, OSError):
            raise _explain(self._bury(process)) from None
        except ValueError as err:
            self.end()
            raise Refused("decode_crash", str(err)) from None
        except BaseException:  # we are stopped: its answer would be taken for the next one's
            self.end()
            raise

    def end(self) -> None:
        """Kill the process and let go of it; an idle one has nothing to lose."""
        if self._running is not None:
            process, connection = self._running
            self._running = None
            connection.close()
            process.kill()
            process.wait()

    def _bury(self, process: subprocess.Popen[bytes]) -> int:
        """The exit status of a process that has closed its end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        self.end()
        return process.returncode

    def _start(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                _command(self._settings),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=_environment(),
            )
        self._running = process, ours
        _set_patience(ours, START_TIMEOUT_S)
        try:
            receive(ours, len(GREETING))
        except (EOFError, OSError):
            end = _name(self._bury(process))
            raise RuntimeError(f"a decoding process ended before it began: {end}") from None
        _set_patience(ours, self._patience_s)
        return process, ours


def _command(settings: str) -> list[str]:
    # No site, no user's folder: their start-up files cost more than the rest of Python's.
    path = [*(entry or os.getcwd() for entry in sys.path), str(Path(__file__).parents[2])]
    return [sys.executable, "-I", "-S", "-c", START, settings, *path]


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    return kept | ONE_THREAD


def _set_patience(connection: socket.socket, seconds: float) -> None:
    # By the kernel: Python's own timeouts would cost another system call each time.
    fraction, whole = math.modf(seconds)
    interval = struct.pack("ll", int(whole), int(fraction * 1e6))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, interval)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, interval)


def _explain(status: int) -> Refused:
    """Why a picture has no answer, by how its process ended."""
    if status == -signal.SIGALRM:
        return Refused("decode_timeout")
    return Refused("decode_crash", _name(status))


def _name(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"
