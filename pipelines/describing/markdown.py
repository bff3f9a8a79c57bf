"""Text of strangers in a Markdown page: it shows as it is and means nothing."""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence

_PUNCTUATION = re.compile(r"([!\"#$%&()*+./:;<=>?@\[\\\]^_`{|}~])")
"""CommonMark lets any ASCII punctuation be escaped; full stops and colons, because GitHub makes
links of bare addresses. Hyphens, commas and apostrophes mean nothing inside a line."""


def escape(text: str) -> str:
    """One line without markup, links, HTML, control or direction characters."""
    plain = " ".join("".join(map(_visible, text)).split())
    return _PUNCTUATION.sub(r"\\\1", plain)


def _visible(char: str) -> str:
    """Whitespace as a space; what steers the text instead of showing in it, as nothing."""
    if char.isspace():
        return " "
    return "" if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn") else char


def table(head: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    """A table; numbers stand on the right. Cells of text must be escaped already."""
    rows = [list(row) for row in rows]
    right = [bool(rows) and isinstance(cell, int) for cell in (rows[0] if rows else head)]
    rule = ["---:" if is_right else "---" for is_right in right]
    body = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in ([*head], rule, *body))


def fence(text: str, language: str = "") -> str:
    """A block of text as it stands: no run of backticks in it is as long as those around it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def quote_yaml(text: str) -> str:
    """A YAML scalar: any JSON text is one."""
    return json.dumps(text)
