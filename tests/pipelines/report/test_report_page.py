"""A report's page stays harmless, loads nothing, and is never large, whatever captions hold."""

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ledger import REASONS
from pipelines.report import write_report
from pipelines.report.examples import EXAMPLES_PER_REASON, Example
from pipelines.report.figures import Reason, collect_figures
from pipelines.report.meanings import explain
from pipelines.report.page import MAX_PAGE_BYTES, render_page
from pipelines.report.pictures import THUMBNAIL_BYTES, THUMBNAIL_SIDE_PX, make_thumbnail
from pipelines.report.words import (
    CONTROLS,
    cut_to_bytes,
    escape,
    escape_within,
    show_bytes,
    show_caption,
)
from tests.pipelines.report.report_corpus import HOSTILE, write_corpus, write_tokenizer
from tests.pipelines.report.report_page import Page


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A whole build."""
    directory = tmp_path_factory.mktemp("build") / "corpus"
    write_corpus(str(directory))
    write_report(str(directory))
    return directory


@pytest.fixture(scope="module")
def page(corpus):
    return Page((corpus / "report.html").read_text(encoding="utf-8"))


def test_a_row_without_a_picture_shows_what_decided(page):
    shown = [text for tag, text in page.texts if tag == "bdi" and text.startswith("X-Robots-Tag")]
    assert "X-Robots-Tag: <s>4</s>" in shown
    assert not page.tags["s"]


def test_hostile_captions_make_no_tag_and_no_handler(page):
    assert not set(page.tags) & {"iframe", "object", "link", "base", "form"}
    assert (page.tags["h1"], page.tags["script"]) == (1, 2)
    assert {value for tag, name, value in page.attributes if (tag, name) == ("input", "type")} == {
        "range"
    }
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_hostile_captions_are_shown_as_they_are_in_an_element_of_their_own_direction(page):
    isolated = [text for tag, text in page.texts if tag in ("bdi", "div")]
    for caption in HOSTILE[:4]:
        assert caption in isolated
    for tag, text in page.texts:
        assert "\u202e" not in text or tag in ("bdi", "div"), tag


def test_a_long_caption_is_cut_and_its_length_told(page):
    assert max(len(text) for tag, text in page.texts if tag in ("div", "bdi")) <= 3_002
    told = [text for tag, text in page.texts if tag == "summary"]
    assert "first 3,000 of 10,254 characters" in told


def test_the_page_loads_nothing(page):
    for tag, name, value in page.attributes:
        if name == "src":
            assert value.startswith("data:image/jpeg;base64,"), (tag, value)
        if name == "href":
            assert value.startswith("#"), (tag, value)
        assert name not in ("srcset", "action", "data", "poster", "formaction", "ping")
        assert name != "style" or "url(" not in value
    style = "".join(text for tag, text in page.texts if tag == "style")
    assert "url(" not in style and "@import" not in style


def test_the_policy_lets_the_one_script_run_and_nothing_else(page):
    contents = [value for tag, name, value in page.attributes if (tag, name) == ("meta", "content")]
    data, script = (text for tag, text in page.texts if tag == "script")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src"
    assert f"{policy} 'sha256-{digest}'" in contents
    assert "eval" not in script and "innerHTML" not in script
    assert json.loads(data)["rules"] and not set(data) & set("<>&")


def test_a_page_without_sliders_allows_no_script(tmp_path):
    write_corpus(str(tmp_path), "score")
    page = Page(Path(write_report(str(tmp_path))).read_text(encoding="utf-8"))
    contents = [value for tag, name, value in page.attributes if (tag, name) == ("meta", "content")]
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in contents
    assert not page.tags["script"] and not page.tags["input"]


def test_no_corpus_makes_a_page_larger_than_is_promised(corpus):
    worst = Example(
        pair_id="0" * 32,
        url="<" * 10_000,
        caption='"' * 10_000,
        width=99_999,
        height=99_999,
        thumbnail=bytes(THUMBNAIL_BYTES),
        signal="&" * 10_000,
    )
    reasons = [
        Reason(name, explain(name), "select", 10**12, {}, (worst,) * EXAMPLES_PER_REASON)
        for name in REASONS[1:]
    ]
    figures = replace(collect_figures(str(corpus)), reasons=tuple(reasons))
    size = len(render_page(figures).encode())
    assert MAX_PAGE_BYTES / 3 < size < MAX_PAGE_BYTES


@pytest.mark.parametrize("side_px", [8, 160, 161, 900])
def test_a_thumbnail_is_small_whatever_the_picture_holds(side_px):
    noise = np.random.default_rng(0).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    thumbnail = make_thumbnail(cv2.imencode(".png", noise)[1].tobytes())
    assert 0 < len(thumbnail) <= THUMBNAIL_BYTES
    decoded = cv2.imdecode(np.frombuffer(thumbnail, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape[0] == min(side_px, THUMBNAIL_SIDE_PX)


@given(st.text(max_size=300), st.integers(0, 300))
def test_a_text_is_cut_to_what_it_takes_when_escaped(text, most_bytes):
    cut = cut_to_bytes(text, most_bytes)
    assert text.startswith(cut)
    assert len(escape(cut).encode()) <= most_bytes
    assert cut == text or len(escape(text[: len(cut) + 1]).encode()) > most_bytes
    assert escape_within(text, most_bytes).endswith("\u2026") or cut == text


def test_every_link_leads_somewhere(page):
    names = [value for _, name, value in page.attributes if name == "id"]
    assert len(names) == len(set(names))
    links = {value[1:] for _, name, value in page.attributes if name == "href"}
    assert links <= set(names)


def test_books_that_do_not_balance_are_said_not_to(tmp_path):
    write_corpus(str(tmp_path), "select")
    manifest = tmp_path / "decisions" / "manifest.json"
    document = json.loads(manifest.read_text())
    document["counts"]["kept"] -= 1
    manifest.write_text(json.dumps(document))
    page = Path(write_report(str(tmp_path))).read_text(encoding="utf-8")
    assert "the books do not balance" in page


def test_an_encoder_alone_makes_a_report_without_decoded_pictures(tmp_path):
    write_corpus(str(tmp_path))
    write_tokenizer(tmp_path / "tokens" / "tokenizers" / "image.safetensors", "encoder.")
    page = Path(write_report(str(tmp_path))).read_text(encoding="utf-8")
    assert "it cannot draw" in page


@given(st.text())
def test_any_caption_comes_back_out_of_the_page_as_text(caption):
    parsed = Page(f"<p>{escape(caption)}</p>")
    shown = "".join(text for _, text in parsed.texts)
    assert shown == CONTROLS.sub("\ufffd", caption)
    assert not CONTROLS.search(escape(caption))


@given(st.text(max_size=400))
def test_any_caption_stays_in_its_own_element(caption):
    parsed = Page(f"<p>{show_caption(caption)}</p>")
    assert set(parsed.tags) <= {"p", "span", "bdi", "details", "summary", "div"}


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.00 kB"),
        (3_618_582, "3.62 MB"),
        (4 * 10**15, "4000.00 TB"),
    ],
)
def test_sizes_are_shown_in_decimal_units(size, shown):
    assert show_bytes(size) == shown
