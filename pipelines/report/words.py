"""Numbers and foreign text as a page shows them.

A caption is whatever the web sent: markup, control characters, text that runs the other way, ten
kilobytes of it. It is escaped, its control characters are shown as one sign, and it stands in an
element of its own that keeps its direction to itself.
"""

import html
import re

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What HTML forbids, apart from tab and line feed."""
CLIP_CHARS = 120
"""A longer caption is cut by the page's style and can be opened."""
BYTE_UNITS = ("bytes", "kB", "MB", "GB", "TB")
MAX_CHARS = 4_000
"""No more of a caption is shown at all."""


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
        f"<details><summary>all {show_count(len(caption))} characters</summary>"
        f'<bdi dir="auto"><div class="whole">{escape(shorten(caption))}</div></bdi></details>'
    )


def shorten(text: str) -> str:
    return text if len(text) <= MAX_CHARS else text[:MAX_CHARS] + " \u2026"


def show_count(number: int) -> str:
    return f"{number:,}"


def show_share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "\u2013"


def show_bytes(size: int) -> str:
    """In decimal units, with three digits: 3.62 MB."""
    power = min(len(BYTE_UNITS) - 1, (len(str(size)) - 1) // 3)
    return f"{size / 1000**power:.{0 if power == 0 else 2}f} {BYTE_UNITS[power]}"


def show_seconds(seconds: float | None) -> str:
    if seconds is None:
        return "\u2013"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
