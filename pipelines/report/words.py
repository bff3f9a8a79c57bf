"""Numbers and foreign text as a page shows them.

A caption is whatever the web sent: markup, control characters, text that runs the other way, ten
kilobytes of it. It is escaped, its control characters are shown as one sign, and it stands in an
element of its own that keeps its direction to itself.
"""

import html
import re
from itertools import accumulate

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What HTML forbids, apart from tab and line feed."""
CLIP_CHARS = 120
"""A longer caption is cut by the page's style and can be opened."""
BYTE_UNITS = ("bytes", "kB", "MB", "GB", "TB")
MAX_CAPTION_BYTES = 3_000
"""Of a caption as it stands in the page, escaped; no more of it is shown at all."""
MAX_ORIGIN_BYTES = 600
"""Of a URL, or of what a server said."""


def escape(text: str) -> str:
    """Text that is safe between tags and in a quoted attribute."""
    return html.escape(CONTROLS.sub("\ufffd", text), quote=True)


def show_caption(caption: str) -> str:
    """A caption in at most a few lines; a long one with the whole of it behind a summary."""
    if not caption.strip():
        return '<span class="soft">no caption</span>'
    if len(caption) <= CLIP_CHARS:
        return f'<bdi dir="auto">{escape(caption)}</bdi>'
    return (
        f'<bdi dir="auto" class="clip">{escape(caption[: 2 * CLIP_CHARS])}</bdi>'
        f"<details><summary>{_tell_length(caption)}</summary>"
        f'<bdi dir="auto"><div class="whole">{escape_within(caption)}</div></bdi></details>'
    )


def _tell_length(caption: str) -> str:
    shown = len(cut_to_bytes(caption, MAX_CAPTION_BYTES))
    first = "all" if shown == len(caption) else f"first {show_count(shown)} of"
    return f"{first} {show_count(len(caption))} characters"


def escape_within(text: str, most_bytes: int = MAX_CAPTION_BYTES) -> str:
    """Escaped text of so many bytes at most; where some is left out, it ends in an ellipsis."""
    cut = cut_to_bytes(text, most_bytes)
    return escape(cut) + (" \u2026" if len(cut) < len(text) else "")


def cut_to_bytes(text: str, most_bytes: int) -> str:
    """As much of a text's beginning as takes so many bytes, escaped, in UTF-8."""
    beginning = text[:most_bytes]
    sizes = accumulate(len(escape(char).encode()) for char in beginning)
    return beginning[: sum(size <= most_bytes for size in sizes)]


def show_count(number: int) -> str:
    return f"{number:,}"


def show_number(number: float) -> str:
    """A value of a scale in three digits: 0.25, 12.5, 1,230."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def show_share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "\u2013"


def show_bytes(size: int) -> str:
    """In decimal units, with three digits: 3.62 MB."""
    power = min(len(BYTE_UNITS) - 1, (len(str(size)) - 1) // 3)
    return f"{size / 1000**power:.{0 if power == 0 else 2}f} {BYTE_UNITS[power]}"


def show_seconds(seconds: float | None) -> str:
    if seconds is None:
        return "\u2013"
    if seconds < 1:
        return f"{1000 * seconds:.1f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
