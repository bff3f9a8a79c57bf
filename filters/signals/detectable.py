"""Captions as the language detectors can take them."""

import re

MAX_CHARS = 1_000
"""cld3 itself reads 1,000 bytes (the default of its Python bindings); more only costs time."""

_NOT_FOR_INTERCHANGE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)
"""Control characters and Unicode's noncharacters, at which cld2 raises an error."""


def detectable(caption: str) -> str:
    """The caption's beginning, with a space for each character that a detector refuses."""
    return _NOT_FOR_INTERCHANGE.sub(" ", caption[:MAX_CHARS])
