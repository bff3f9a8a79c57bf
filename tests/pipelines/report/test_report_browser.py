"""A report in a real browser: it fits a phone, complains of nothing, and counts as Python does."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.report import write_report
from pipelines.report.figures import collect_figures
from pipelines.report.sample import draw_sample
from pipelines.report.stages import find_current, read_stages
from tests.pipelines.report.chromium import open_chromium
from tests.pipelines.report.report_corpus import RECIPE, write_corpus

WIDTHS_PX = (360, 1280)
TAB, RIGHT, END = ("Tab", 9), ("ArrowRight", 39), ("End", 35)

LARGEST_CONTRAST_FAULT = """
(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faults = [];
  for (const element of document.querySelectorAll("body *")) {
    const words = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    const silent = element.closest("script, noscript, [disabled]");
    if (!words || silent || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const ink = element.closest("svg") ? style.fill : style.color;
    const [one, other] = [light(parse(ink)), light(paper(element))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    const name = `${element.tagName}.${element.className}`;
    if (contrast < 4.5) faults.push(`${name} ${contrast.toFixed(2)}`);
  }
  return faults.slice(0, 5);
})()
"""
"""Texts whose contrast is less than WCAG 2.2 asks for at level AA (1.4.3: 4.5 to 1)."""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    directory = tmp_path_factory.mktemp("build") / "corpus"
    write_corpus(str(directory))
    return Path(write_report(str(directory)))


@pytest.fixture(scope="module")
def tab():
    with open_chromium() as tab:
        yield tab
        assert not tab.complaints, tab.complaints


def move(tab, positions):
    """Set sliders to positions by name, as a hand would."""
    tab.evaluate(f"""
        for (const [name, at] of Object.entries({json.dumps(positions)})) {{
          const slider = document.getElementById(name);
          slider.value = at;
          slider.dispatchEvent(new Event("input"));
        }}
    """)


def list_shown(tab):
    """The sliders that the page has: of what some row depends on."""
    return tab.evaluate("[...document.querySelectorAll('input[type=range]')].map((i) => i.id)")


def read_counts(tab, kind="now"):
    """What the page shows per reason."""
    return tab.evaluate(f"""Object.fromEntries([...document.querySelectorAll("[data-{kind}]")]
        .map((cell) => [cell.dataset.{kind}, Number(cell.textContent.replaceAll(",", ""))]))""")


@pytest.fixture(scope="module")
def sample(page):
    """The rows that the page counts."""
    columns = {name for rule in RECIPE.select.rules for name in rule.signals}
    manifests = find_current(read_stages(str(page.parent)))
    return draw_sample(str(page.parent), manifests, columns)


@pytest.fixture(scope="module")
def sliders(page):
    """All sliders that the page may have, by name."""
    rules = collect_figures(str(page.parent)).sample.what_if.rules
    return {f"{rule.reason}.{s.field}": s for rule in rules for s in rule.sliders}


def count_in_python(sample, values):
    """The sample's rows per reason, by the rules themselves with other numbers."""
    rules = RECIPE.select.rules
    reasons = sample.reasons.copy()
    free = np.isin(reasons, ["kept", *(rule.reason for rule in rules)])
    reasons[free] = "kept"
    for rule in rules:
        moved = {f.partition(".")[2]: v for f, v in values.items() if f.startswith(rule.reason)}
        drops = replace(rule, **moved)(sample.signals)
        reasons[free & drops & (reasons == "kept")] = rule.reason
    return Counter(reasons)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS_PX)
def test_the_page_fits_and_can_be_read(page, tab, width, dark):
    tab.open(page, width, dark=dark)
    tab.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate(LARGEST_CONTRAST_FAULT) == []
    assert not tab.complaints, tab.complaints


def test_captions_take_nothing_over(page, tab):
    tab.open(page)
    assert tab.evaluate("document.querySelectorAll('h1').length") == 1
    assert tab.evaluate("document.querySelectorAll('script').length") == 2
    isolated = "[...document.querySelectorAll('bdi')].every("
    isolated += "(one) => getComputedStyle(one).unicodeBidi === 'isolate')"
    assert tab.evaluate(isolated)
    assert tab.evaluate("document.body.innerHTML.includes('never closed \\u202e')")
    assert not tab.complaints, tab.complaints


def test_no_other_script_may_run(page, tab, tmp_path):
    tab.open(page)
    hostile = page.read_text(encoding="utf-8").replace(
        "<main", "<script>document.title = 'taken over'</script><main", 1
    )
    (tmp_path / "hostile.html").write_text(hostile, encoding="utf-8")
    tab.open(tmp_path / "hostile.html")
    assert tab.evaluate("document.title") != "taken over"
    refused = [complaint for complaint in tab.complaints if "Content Security Policy" in complaint]
    assert refused and len(refused) == len(tab.complaints)
    tab.complaints.clear()


def test_the_recipe_itself_is_counted_as_the_build_has_counted(page, tab, sample):
    tab.open(page)
    counts = Counter(read_counts(tab))
    assert counts == count_in_python(sample, {}) and counts == Counter(read_counts(tab, "then"))
    assert counts["kept"] == collect_figures(str(page.parent)).kept
    assert tab.evaluate("document.getElementById('reset').disabled")


@pytest.mark.parametrize("seed", range(3))
def test_sliders_moved_together_count_as_the_rules_do(page, tab, sample, sliders, seed):
    tab.open(page)
    draws = np.random.default_rng(seed)
    shown = list_shown(tab)
    assert len(shown) >= 5
    at = {name: int(draws.integers(len(sliders[name].positions))) for name in shown}
    move(tab, at)
    values = {name: sliders[name].positions[i] for name, i in at.items()}
    assert Counter(read_counts(tab)) == count_in_python(sample, values)
    tab.evaluate("document.getElementById('reset').click()")
    assert read_counts(tab) == read_counts(tab, "then")


def test_each_slider_counts_as_its_rule_does_at_every_position(page, tab, sample, sliders):
    tab.open(page)
    for name in list_shown(tab):
        kept = tab.evaluate(f"""
            (() => {{
              const slider = document.getElementById("{name}");
              const kept = [];
              for (let at = 0; at <= Number(slider.max); at++) {{
                slider.value = at;
                slider.dispatchEvent(new Event("input"));
                kept.push(Number(document.getElementById("kept-now").textContent));
              }}
              document.getElementById("reset").click();
              return kept;
            }})()
        """)
        values = sliders[name].positions
        assert kept == [count_in_python(sample, {name: value})["kept"] for value in values], name
        assert len(set(kept)) > 1, name


def test_the_lines_to_paste_make_the_recipe_that_was_tried(page, tab, sliders):
    tab.open(page)
    slider = sliders["boilerplate.max_ratio"]
    at = 1 + slider.start
    move(tab, {"boilerplate.max_ratio": at})
    value = slider.positions[at]
    assert tab.evaluate("document.getElementById('lines').textContent") == (
        f'[[select.rules]]\nfilter = "boilerplate"\nmax_ratio = {value}'
    )
    line = "document.querySelector('[data-slider=\"boilerplate.max_ratio\"]')"
    places = tab.evaluate(f"{line}.dataset.places.split(' ')")
    assert len(places) == len(slider.positions)
    assert tab.evaluate(f"{line}.getAttribute('x1')") == places[at]


def test_a_slider_is_moved_by_keys_and_says_its_value(page, tab, sliders):
    tab.open(page)
    name = "short_side.min_side_px"
    slider = sliders[name]
    tab.evaluate(f"document.getElementById('{name}').focus()")
    tab.press(*RIGHT)
    spoken = f"document.getElementById('{name}').getAttribute('aria-valuetext')"
    assert tab.evaluate(spoken) == str(slider.positions[slider.start + 1])
    tab.press(*END)
    assert read_counts(tab)["kept"] == 0 and tab.evaluate(spoken) == "100000"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert tab.evaluate(outline) == "solid"


def test_every_control_can_be_reached_by_keys_and_has_a_name(page, tab):
    tab.open(page)
    unnamed = """[...document.querySelectorAll("a, button, input, summary, [tabindex]")]
        .filter((one) => one.checkVisibility() && !one.textContent.trim() && !one.labels?.length
            && !one.ariaLabel).map((one) => one.outerHTML)"""
    assert tab.evaluate(unnamed) == []
    tab.press(*TAB)
    assert tab.evaluate("document.activeElement.className") == "skip"


def test_without_script_the_page_shows_everything_but_sliders(page, tab):
    tab.call("Emulation.setScriptExecutionDisabled", {"value": True})
    tab.open(page)
    tab.call("Emulation.setScriptExecutionDisabled", {"value": False})
    assert tab.evaluate("[...document.querySelectorAll('.scripted')].every((one) => one.hidden)")
    assert tab.evaluate("document.querySelectorAll('#thresholds svg').length") >= 5
    assert "sliders need" in tab.evaluate("document.querySelector('noscript').textContent")
