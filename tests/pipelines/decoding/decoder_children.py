"""This process's children, by what the kernel says of them."""

import contextlib
from pathlib import Path

STARTED_BY_DECODERS = b"sys.path[:] = sys.argv[2:]"


def children() -> list[int]:
    """Ids of all, the dead that nobody waited for included."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # its thread has ended
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


def decoder_children() -> list[int]:
    """Ids of the living ones that decode."""
    return [pid for pid in children() if STARTED_BY_DECODERS in _command_line(pid)]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # waited for since it was listed
        return b""
