"""Modules that are installed, hidden from those who would import them only to see if they are."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Blindfold:
    """A finder of modules that knows of none with these names."""

    names: frozenset[str]

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if name in self.names:
            raise ModuleNotFoundError(name)


@contextlib.contextmanager
def hide_modules(*names: str) -> Iterator[None]:
    """Let imports of these fail within the block; what is imported already stays."""
    blindfold = _Blindfold(frozenset(names))
    sys.meta_path.insert(0, blindfold)
    try:
        yield
    finally:
        sys.meta_path.remove(blindfold)
