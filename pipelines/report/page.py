"""The report as one HTML file: every figure of a corpus, nothing to load.

Its one script moves the sliders. The page says by a hash that it is the only one that may run,
and shows everything else without it.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from importlib.resources import files
from string import Template

from pipelines.report.charts import render_funnel
from pipelines.report.duplicate_section import render_eval_overlap, render_near_duplicates
from pipelines.report.figures import Figures
from pipelines.report.galleries import render_gallery, render_reason
from pipelines.report.kind_section import render_kinds
from pipelines.report.rule_section import render_rules
from pipelines.report.source_section import render_sources
from pipelines.report.stages import BUILT, StageFigures
from pipelines.report.threshold_section import make_data, render_thresholds
from pipelines.report.token_section import render_tokens
from pipelines.report.words import escape, show_bytes, show_count, show_seconds

OPEN_REASONS = 3
"""The largest reasons are shown open: they are what a recipe is judged by."""
MAX_PAGE_BYTES = 16_000_000
"""No page is larger, whatever is in the corpus: a picture takes at most 11 kB as base64 and its
texts 6 kB, every reason shows 12 rows, and half of the reasons have pictures. Most take 0.5 to
3 MB."""


def render_page(figures: Figures) -> str:
    """The whole file."""
    script = _read("page.js") if has_sliders(figures) else ""
    return Template(_read("page.html")).substitute(
        policy=make_policy(script),
        title=escape(f"{figures.corpus}: where every row went"),
        style=_read("page.css"),
        header=render_header(figures),
        body="\n".join(render_sections(figures)),
        script=render_script(figures, script),
    )


def has_sliders(figures: Figures) -> bool:
    return figures.sample is not None and bool(figures.sample.distributions)


def make_policy(script: str) -> str:
    """The page's content security policy: nothing may be loaded, and only this script may run."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"; script-src 'sha256-{digest}'" if script else ""
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'{allowed}"


def render_script(figures: Figures, script: str) -> str:
    """What the script reads, then the script."""
    if not script or figures.sample is None:
        return ""
    data = make_data(figures.sample.what_if)
    return (
        f'<script type="application/json" id="what-if">{data}</script>\n<script>{script}</script>'
    )


def _read(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def render_header(figures: Figures) -> str:
    return (
        f'<h1><bdi dir="auto">{escape(figures.corpus)}</bdi></h1>'
        f'<p class="soft">Recipe <code>{figures.recipe_sha256}</code></p>'
        f'<nav aria-label="Sections">'
        + "".join(f'<a href="#{name}">{title}</a>' for name, title in list_links(figures).items())
        + f'</nav><ul class="tiles">{"".join(render_tiles(figures))}</ul>'
    )


def list_links(figures: Figures) -> dict[str, str]:
    """What the page is made of: sections that a build may lack are named where it has them."""
    links = {"funnel": "Funnel", "rules": "Rules", "thresholds": "Thresholds", "dropped": "Dropped"}
    links |= {"near_duplicates": "Near duplicates"} if figures.near_duplicates else {}
    links |= {"evaluation": "Evaluation sets"} if figures.eval_overlap else {}
    links |= {"kinds": "Kinds", "kept": "Kept", "tokens": "Tokens", "stages": "Stages"}
    return links | {"recipe": "Recipe"}


def render_tiles(figures: Figures) -> Iterator[str]:
    """The figures that one looks for first."""
    yield _tile(show_count(figures.read), "rows read")
    yield _tile(show_count(figures.fetched), "pictures fetched")
    if figures.kept is not None:
        splits = ", ".join(f"{show_count(n)} {name}" for name, n in sorted(figures.splits.items()))
        yield _tile(show_count(figures.kept), f"pairs kept: {splits}" if splits else "pairs kept")
    if figures.tokens:
        rows = show_count(sum(figures.tokens.rows.values()))
        yield _tile(show_count(figures.tokens.total), f"tokens in {rows} sequences")
    yield _tile(show_bytes(sum(stage.bytes for stage in figures.stages)), "on disk")


def _tile(figure: str, words: str) -> str:
    return f"<li><b>{figure}</b><span>{words}</span></li>"


def render_sections(figures: Figures) -> Iterator[str]:
    survivors = "fetched" if figures.kept is None else "kept"
    sources = render_sources(figures.sources, [reason.name for reason in figures.reasons])
    funnel = render_funnel(figures) + render_books(figures) + sources
    yield _section("funnel", "From rows to tokens", funnel)
    yield _section("rules", "What each rule does", render_rules(figures))
    yield _section("thresholds", "Signals and thresholds", render_thresholds(figures.sample))
    yield _section("dropped", "Why rows were dropped", render_reasons(figures))
    yield from render_likenesses(figures)
    yield _section("kinds", "Languages and sizes", render_kinds(figures.sample))
    yield _section("kept", f"Some of the {survivors} pairs", render_gallery(figures.survivors))
    yield _section("tokens", "Tokens", render_tokens(figures.tokens))
    yield _section("stages", "Stages", render_stages(figures))
    recipe = json.dumps(figures.recipe, indent=1, sort_keys=True, ensure_ascii=False)
    yield _section("recipe", "Recipe", f'<pre tabindex="0"><code>{escape(recipe)}</code></pre>')


def render_likenesses(figures: Figures) -> Iterator[str]:
    if figures.near_duplicates:
        body = render_near_duplicates(figures.near_duplicates)
        yield _section("near_duplicates", "Near duplicates", body)
    if figures.eval_overlap:
        body = render_eval_overlap(figures.eval_overlap)
        yield _section("evaluation", "Overlap with evaluation sets", body)


def _section(name: str, title: str, body: str) -> str:
    return f'<section id="{name}" aria-label="{title}"><h2>{title}</h2>{body}</section>'


def render_books(figures: Figures) -> str:
    """The accounting identity, written out."""
    survivors = "fetched" if figures.kept is None else "kept"
    waiting = f" + {show_count(figures.waiting)} not fetched yet" if figures.waiting else ""
    verdict = (
        '<span class="good">the books balance</span>'
        if figures.books_balance
        else '<span class="bad">the books do not balance</span>'
    )
    return (
        f"<p>{show_count(figures.read)} rows read = {show_count(figures.remaining)} {survivors} + "
        f"{show_count(figures.dropped)} dropped{waiting}: {verdict}.</p>"
    )


def render_reasons(figures: Figures) -> str:
    if not figures.reasons:
        return '<p class="soft">No row was dropped.</p>'
    largest = sorted(figures.reasons, key=lambda reason: -reason.rows)[:OPEN_REASONS]
    cards = "".join(render_reason(reason, reason in largest) for reason in figures.reasons)
    return (
        "<p>Each row has one reason: the first that dropped it, in this order.</p>"
        f'<div class="reasons">{cards}</div>'
    )


def render_stages(figures: Figures) -> str:
    names = ("rows", "files", "size", "worker time", "rows / s")
    heads = "".join(f'<th scope="col" class="number">{name}</th>' for name in names)
    rows = "".join(map(_stage_row, figures.stages))
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table of stages">'
        f'<table class="table"><thead><tr><th scope="col">stage</th><th scope="col">state</th>'
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        '<p class="soft">Worker time is the sum over all files, whichever process wrote them.</p>'
    )


def _stage_row(stage: StageFigures) -> str:
    seconds = stage.worker_seconds
    cells = (
        show_count(stage.rows),
        show_count(stage.files),
        show_bytes(stage.bytes),
        show_seconds(seconds),
        f"{stage.rows / seconds:,.0f}" if seconds else "\u2013",
    )
    state = "soft" if stage.state == BUILT else "bad"
    return (
        f'<tr><th scope="row">{stage.name} <code class="soft">{stage.folder}/</code></th>'
        f'<td class="{state}">{stage.state}</td>'
        + "".join(f'<td class="number">{cell}</td>' for cell in cells)
        + "</tr>"
    )
