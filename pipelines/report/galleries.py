"""Pictures with their captions: rows of one reason, kept pairs, originals beside decoded codes."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.report.decoded import Decoded
from pipelines.report.examples import Example
from pipelines.report.figures import Reason
from pipelines.report.words import (
    MAX_ORIGIN_BYTES,
    escape,
    escape_within,
    show_caption,
    show_count,
)


def render_reason(reason: Reason, is_open: bool) -> str:
    """A card that opens: what the reason means, its rule, and some of its rows."""
    return (
        f'<details class="card" id="{escape(reason.name)}"{" open" if is_open else ""}>'
        f"<summary><h3>{escape(reason.name)}</h3>"
        f'<span class="soft">{_mark_code(escape(reason.meaning))}</span>'
        f'<span class="number">{show_count(reason.rows)}</span></summary>'
        f"{_render_rule(reason.settings)}{render_gallery(reason.examples)}</details>"
    )


def _render_rule(settings: Mapping[str, Any]) -> str:
    if not settings:
        return ""
    lines = ", ".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
    return f'<p class="soft">In the recipe: <code>{escape(lines)}</code></p>'


def _mark_code(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)


def render_gallery(examples: Sequence[Example]) -> str:
    return f'<ul class="gallery">{"".join(f"<li>{render_example(e)}</li>" for e in examples)}</ul>'


def render_example(example: Example, note: str = "") -> str:
    """A picture over its caption, its size and, in HTML, a note."""
    size = f"{example.width} \u00d7 {example.height}" if example.thumbnail else ""
    signal = f'<bdi dir="auto">{_origin(example.signal)}</bdi>' if example.signal else ""
    return (
        f'<figure title="{_origin(example.url)}">{_render_picture(example)}'
        f"<figcaption>{note}{show_caption(example.caption)}"
        f'<div class="soft">{size}{signal}</div></figcaption></figure>'
    )


def _origin(text: str) -> str:
    return escape_within(text, MAX_ORIGIN_BYTES)


def _render_picture(example: Example) -> str:
    if example.thumbnail:
        return f'<div class="picture">{render_image(example.thumbnail)}</div>'
    return f'<div class="picture nothing"><code>{_origin(example.url)}</code></div>'


def render_decoded(pairs: Sequence[Decoded]) -> str:
    """Each stored picture beside what its codes decode to."""
    return f'<ul class="gallery pairs">{"".join(map(_render_twins, pairs))}</ul>'


def _render_twins(pair: Decoded) -> str:
    return (
        '<li><figure><div class="twins">'
        f'<div class="picture">{render_image(pair.original, "stored picture")}</div>'
        f'<div class="picture">{render_image(pair.decoded, "decoded codes")}</div></div>'
        f"<figcaption>{show_caption(pair.caption)} "
        f'<span class="soft">{escape(pair.split)}</span></figcaption></figure></li>'
    )


def render_image(data: bytes, alt: str = "") -> str:
    """A picture within the page; where its caption stands beside it, it needs no other words."""
    encoded = base64.b64encode(data).decode()
    return f'<img alt="{alt}" loading="lazy" src="data:image/jpeg;base64,{encoded}">'
