"""Dead letters: what could not be done and why, for a person to read; never the thing itself.

A row that brings out a fault of ours in fetch or score ends as `internal_error`: the pairs' column
`signal`, or the signals' column `failure`, tells of it, and a unit with more than a few such rows
fails. After that no stranger's bytes are seen for the first time, and a shard's rows are counted:
what fails in select or encode is a whole item. An item that fails is set aside, everything else is
finished, the build ends with exit code 1, and DIR/failures.json names what was set aside until a
build ends well.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import fsspec

from pipelines.commit import put_text
from tokens.manifest import join_url

INTERNAL_ERROR = "internal_error"
LETTERS_NAME = "failures.json"
"""In a build's folder, beside the stages' folders."""

MAX_TEXT_BYTES = 1024
MAX_FAULTY_SHARE = 0.01
"""Ours: of a unit's rows, but one row always. More is a broken installation, not an odd picture."""
MAX_SET_ASIDE = 3
"""Items of one worker's share: after so many the fault is not theirs."""

_BYTES = re.compile(r"""\bb(['"])(?:\\.|(?!\1).)*(?:\1|$)""", re.DOTALL)
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An item that was set aside."""

    item: str
    """Name of the file that it would have become."""
    step: str
    fault: str
    """As `describe_fault` tells it."""

    def line(self) -> str:
        return f"{self.item}: {self.fault}"


def describe_fault(error: BaseException) -> str:
    """Class and message in at most a kilobyte of UTF-8, without bytes, the same in every process.

    >>> describe_fault(ValueError("cannot read b'\\\\xff\\\\xd8' at 0x7f00deadbeef"))
    'ValueError: cannot read <bytes> at 0x...'
    """
    message = _ADDRESS.sub("0x...", _BYTES.sub("<bytes>", str(error)))
    told = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return told.encode(errors="replace")[:MAX_TEXT_BYTES].decode(errors="ignore")


def check_faults(faults: Sequence[str | None], rows: int) -> None:
    """Raise RuntimeError where more of a unit's rows brought out a fault than may.

    Args:
        faults: of each such row, what `describe_fault` said.
        rows: of the unit.
    """
    allowed = max(1, int(rows * MAX_FAULTY_SHARE))
    if len(faults) > allowed:
        raise RuntimeError(
            f"{len(faults)} of {rows} rows ended as {INTERNAL_ERROR}, more than the {allowed} "
            f"that may; the first: {faults[0]}"
        )


def write_letters(directory: str, letters: Sequence[DeadLetter]) -> str:
    """Put letters down in a build's folder, in the place of earlier ones; returns where."""
    url = join_url(directory, LETTERS_NAME)
    put_text(url, json.dumps([asdict(letter) for letter in letters], indent=1) + "\n")
    return url


def remove_letters(directory: str) -> None:
    """What was in the way is none any more."""
    filesystem, path = fsspec.url_to_fs(join_url(directory, LETTERS_NAME))
    if filesystem.exists(path):
        filesystem.rm_file(path)
