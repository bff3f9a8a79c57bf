"""Work, counted so that no other program disturbs it."""

import sys
from collections.abc import Callable


def calls_made(action: Callable[[], object]) -> int:
    """How many functions `action` calls: a measure of work that no other program disturbs."""
    count = 0

    def count_call(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count_call)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count
