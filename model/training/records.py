"""A run's measurements as JSON lines, and what a resumed run must take back of them."""

import json
from pathlib import Path

from model.dvae.checkpoint import write_atomic


def drop_records_after(path: Path, step: int) -> None:
    """Forget the records of updates that a resumed run is going to make again, and a torn one."""
    if not path.exists():
        return
    lines = path.read_text().splitlines()
    kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
    write_atomic(path, "".join(f"{line}\n" for line in kept).encode())
