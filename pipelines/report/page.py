"""The report as one HTML file: every figure of a corpus, nothing to load, no script."""

import json
from collections.abc import Iterator
from importlib.resources import files
from string import Template

from pipelines.report.charts import render_funnel
from pipelines.report.figures import Figures
from pipelines.report.galleries import render_gallery, render_reason
from pipelines.report.stages import BUILT, StageFigures
from pipelines.report.token_section import render_tokens
from pipelines.report.words import escape, show_bytes, show_count, show_seconds

OPEN_REASONS = 3
"""The largest reasons are shown open: they are what a recipe is judged by."""


def render_page(figures: Figures) -> str:
    """The whole file."""
    return Template(_read("page.html")).substitute(
        title=escape(f"{figures.corpus}: where every row went"),
        style=_read("page.css"),
        header=render_header(figures),
        body="\n".join(render_sections(figures)),
    )


def _read(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def render_header(figures: Figures) -> str:
    links = {"funnel": "Funnel", "dropped": "Dropped", "kept": "Kept", "tokens": "Tokens"}
    links |= {"stages": "Stages", "recipe": "Recipe"}
    return (
        f'<h1><bdi dir="auto">{escape(figures.corpus)}</bdi></h1>'
        f'<p class="soft">Recipe <code>{figures.recipe_sha256}</code></p>'
        f'<nav aria-label="Sections">'
        + "".join(f'<a href="#{name}">{title}</a>' for name, title in links.items())
        + f'</nav><ul class="tiles">{"".join(render_tiles(figures))}</ul>'
    )


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
    yield _section("funnel", "From rows to tokens", render_funnel(figures) + render_books(figures))
    yield _section("dropped", "Why rows were dropped", render_reasons(figures))
    yield _section("kept", f"Some of the {survivors} pairs", render_gallery(figures.survivors))
    yield _section("tokens", "Tokens", render_tokens(figures.tokens))
    yield _section("stages", "Stages", render_stages(figures))
    recipe = json.dumps(figures.recipe, indent=1, sort_keys=True, ensure_ascii=False)
    yield _section("recipe", "Recipe", f'<pre tabindex="0"><code>{escape(recipe)}</code></pre>')


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
