"""The page's part on signals: how each is spread, where rules cut it, and sliders for the cuts.

Without its script the page shows the histograms and the recipe's thresholds, and no slider.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.report.charts import render_histogram
from pipelines.report.distributions import Distribution
from pipelines.report.kind_section import describe_sample
from pipelines.report.positions import Number
from pipelines.report.sample_figures import SampleFigures
from pipelines.report.tables import render_table
from pipelines.report.whatif import POSITION_BITS, RuleSliders, Slider, WhatIf, show_toml
from pipelines.report.words import escape, show_count, show_number

MAX_DATA_BYTES = 300_000
"""Of the sliders' data as they stand in the page."""

LEGEND = (
    '<p class="legend"><span class="kept">kept</span> '
    '<span class="here">dropped by a rule that reads the signal</span> '
    '<span class="elsewhere">dropped by another</span> '
    '<span class="cut">threshold</span></p>'
)


def render_thresholds(sample: SampleFigures | None) -> str:
    """A card for each signal that a rule reads, and what other thresholds would do."""
    if sample is None:
        return '<p class="soft">Not built: run the same build on without --until.</p>'
    if not sample.distributions:
        return '<p class="soft">No rule reads a signal that is stored.</p>'
    sliders = {
        f"{rule.reason}.{slider.field}": slider
        for rule in sample.what_if.rules
        for slider in rule.sliders
        if has_effect(slider)
    }
    placed: dict[str, str] = {}
    cards = "".join(_render_card(one, sliders, placed) for one in sample.distributions)
    left = [name for name in sliders if name not in placed]
    return (
        f"<p>{describe_sample(sample)} {_invite(sliders)}</p>{LEGEND}"
        f'<div class="charts">{cards}{_render_rest(left, sliders)}</div>'
        f"{_tell_held(sample.what_if)}{render_outcome(sample.what_if)}"
    )


def has_effect(slider: Slider) -> bool:
    """Some row of the sample flips at one of its positions."""
    return any(flip & POSITION_BITS != POSITION_BITS for flip in slider.flips)


def _invite(sliders: Mapping[str, Slider]) -> str:
    if not sliders:
        return ""
    return (
        "<noscript>The sliders need this page's one script.</noscript>"
        '<span class="scripted" hidden>Move a threshold, and the rows of the sample are counted '
        "again, in this page. A slider steps to where rows change sides; rows that were dropped "
        "as duplicates or before the rules stay dropped.</span>"
    )


def _render_card(
    distribution: Distribution, sliders: Mapping[str, Slider], placed: dict[str, str]
) -> str:
    names = [f"{cut.rule}.{cut.field}" for cut in distribution.thresholds]
    moves: dict[str, Sequence[Number]] = {
        name: sliders[name].positions for name in names if name in sliders
    }
    here = [name for name in names if name in sliders and name not in placed]
    placed |= dict.fromkeys(here, distribution.signal)
    missing = f"; {show_count(distribution.missing)} have none" if distribution.missing else ""
    return (
        f'<div class="chart"><h3><code>{escape(distribution.signal)}</code></h3>'
        f'<p class="soft">read by {_list_rules(distribution)}{missing}</p>'
        f"{_render_chart(distribution, moves)}{_list_cuts(distribution)}"
        f"{''.join(render_slider(name, sliders[name]) for name in here)}</div>"
    )


def _render_chart(distribution: Distribution, moves: Mapping[str, Sequence[Number]]) -> str:
    """A histogram, where there is anything to show."""
    counts = (distribution.kept, distribution.dropped_here, distribution.dropped_elsewhere)
    return render_histogram(distribution, moves) if any(map(sum, counts)) else ""


def _list_rules(distribution: Distribution) -> str:
    return ", ".join(f"<code>{escape(rule)}</code>" for rule in distribution.rules)


def _list_cuts(distribution: Distribution) -> str:
    cuts = ", ".join(
        f"<code>{escape(cut.field)} = {show_number(cut.value)}</code>"
        for cut in distribution.thresholds
    )
    return f'<p class="cuts">in the recipe: {cuts}</p>' if cuts else ""


def _render_rest(names: Sequence[str], sliders: Mapping[str, Slider]) -> str:
    """Numbers that cut no signal as it stands: a share of one, say."""
    if not names:
        return ""
    inputs = "".join(render_slider(name, sliders[name]) for name in names)
    return f'<div class="chart scripted" hidden><h3>Other thresholds</h3>{inputs}</div>'


def render_slider(name: str, slider: Slider) -> str:
    """A threshold's slider; shown by the script, which needs it."""
    rule, _, field = name.partition(".")
    value = show_toml(slider.positions[slider.start])
    return (
        f'<div class="slider scripted" hidden><label for="{name}"><code>{escape(rule)}</code> '
        f'{escape(field)}</label><output for="{name}">{value}</output>'
        f'<input type="range" id="{name}" min="0" max="{len(slider.positions) - 1}" '
        f'value="{slider.start}" aria-valuetext="{value}"></div>'
    )


def _tell_held(what_if: WhatIf) -> str:
    """The rules that no slider moves, and why."""
    held = [
        f"<code>{escape(rule.reason)}</code> ({escape(rule.held)})"
        for rule in what_if.rules
        if rule.held
    ]
    still = [
        f"<code>{escape(rule.reason)}</code> {escape(slider.field)}"
        for rule in what_if.rules
        for slider in rule.sliders
        if not has_effect(slider)
    ]
    told = [f"Without sliders: {', '.join(held)}." if held else ""]
    told += [f"No row of the sample depends on {', '.join(still)}." if still else ""]
    return f'<p class="soft">{" ".join(filter(None, told))}</p>' if any(told) else ""


def render_outcome(what_if: WhatIf) -> str:
    """Where the script writes what the sliders do."""
    reasons = (*what_if.ended, *(rule.reason for rule in what_if.rules))
    rows = [
        (
            f"<code>{escape(reason)}</code>",
            *(
                f'<span data-{kind}="{escape(reason)}"></span>'
                for kind in ("then", "now", "change")
            ),
        )
        for reason in ("kept", *reasons)
    ]
    return (
        '<div class="outcome scripted" hidden><p role="status"><b id="kept-now"></b> of '
        f'{show_count(what_if.rows)}<span class="wide"> sampled rows</span> kept '
        '<span class="soft">(<span id="kept-share"></span>'
        '<span class="wide" id="kept-about"></span><span id="kept-change"></span>)</span></p>'
        '<button type="button" id="reset" disabled>Reset</button>'
        '<details><summary>Recipe lines, rows per reason</summary><div class="told">'
        '<pre tabindex="0" aria-label="Lines for the recipe" id="lines"></pre>'
        + render_table("Rows per reason", ("reason", "recipe", "now", "change"), rows)
        + "</div></details></div>"
    )


def make_data(what_if: WhatIf) -> str:
    """All that the script has to know, as JSON that may stand within a script element."""
    document = {
        "fetched": what_if.fetched,
        "ended": what_if.ended,
        "ends": _pack(what_if.ends),
        "rules": list(_list_rule_data(what_if.rules)),
    }
    text = json.dumps(document, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _list_rule_data(rules: Sequence[RuleSliders]) -> Iterator[dict[str, Any]]:
    for rule in rules:
        settings = {"filter": rule.reason} | dict(rule.settings)
        yield {
            "reason": rule.reason,
            "settings": {
                name: show_toml(value) for name, value in settings.items() if value is not None
            },
            "flips": _pack(rule.flips),
            "sliders": [
                {
                    "field": slider.field,
                    "start": slider.start,
                    "positions": [show_toml(value) for value in slider.positions],
                    "flips": _pack(slider.flips),
                }
                for slider in rule.sliders
            ],
        }


def _pack(data: bytes) -> str:
    return base64.b64encode(data).decode()
