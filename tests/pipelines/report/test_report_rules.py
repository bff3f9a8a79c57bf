"""What a report says of sources, rules, signals and kinds is what a slow count says."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.contacts import Contacts
from pipelines.ledger import OK
from pipelines.report import sample as sample_module
from pipelines.report.distributions import choose_edges, find_thresholds
from pipelines.report.figures import collect_figures
from pipelines.report.page import render_page
from pipelines.report.sample import draw_sample
from pipelines.report.sides import Meeting
from pipelines.report.stages import find_current, read_stages
from tests.pipelines.report.report_corpus import (
    LAYOUT,
    UNIT_ROWS,
    decide,
    make_signals,
    write_corpus,
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A whole build and its rows."""
    directory = tmp_path_factory.mktemp("build") / "corpus"
    return str(directory), write_corpus(str(directory))


@pytest.fixture(scope="module")
def figures(corpus):
    return collect_figures(corpus[0])


def test_each_source_has_its_own_funnel(corpus, figures):
    for number, source in enumerate(figures.sources):
        rows = [row for row in corpus[1] if row["source"] == number]
        ends = Counter(map(decide, rows))
        assert source.read == len(rows)
        assert source.fetched == sum(row["outcome"] == OK for row in rows)
        assert source.kept == ends.pop("kept")
        assert source.dropped == ends
        assert source.read == source.kept + sum(source.dropped.values())
    assert [source.license for source in figures.sources] == ["CC0-1.0", ""]


def test_the_tokens_of_all_sources_are_all_tokens(figures):
    assert sum(source.tokens for source in figures.sources) == figures.tokens.total
    assert figures.sources[0].tokens == figures.sources[0].kept * LAYOUT.length


def test_a_source_with_markup_in_its_name_is_shown_as_text(figures):
    page = render_page(figures)
    assert "http://a.example/&lt;b&gt;one&lt;/b&gt;.csv" in page
    assert "<h3>Per source</h3>" in page


def test_a_rule_is_told_by_the_records_of_all_units(figures):
    boilerplate = figures.rules[1]
    assert boilerplate.rule == "boilerplate"
    assert (boilerplate.fires, boilerplate.alone, boilerplate.together) == (9, 6, 3)
    assert (boilerplate.seconds, boilerplate.signal_seconds) == (1.5, 3.0)
    assert boilerplate.charged == 9  # every tenth of 90 rows


def test_the_time_of_a_signal_is_that_of_its_first_column(figures):
    times = {rule.rule: rule.signal_seconds for rule in figures.rules}
    assert times["caption_length"] == 1.5  # caption_words stands behind caption_chars
    assert times["short_side"] == times["aspect_ratio"] == 0.75  # both stand behind width


def test_rules_that_drop_the_same_rows_meet(figures):
    assert figures.meetings == (
        Meeting("boilerplate", "aspect_ratio", 3),
        Meeting("boilerplate", "short_side", 3),
    )
    page = render_page(figures)
    assert "Which rules drop the same rows" in page
    assert '<span style="--share:0.33">3</span>' in page  # 3 of the 9 of boilerplate


def test_an_older_build_shows_what_it_knows_and_a_dash_for_the_rest(tmp_path):
    write_corpus(str(tmp_path), "select", is_new=False)
    figures = collect_figures(str(tmp_path))
    assert figures.sources == figures.meetings == ()
    assert figures.near_duplicates is None and figures.eval_overlap is None
    told = {(rule.fires, rule.alone, rule.seconds, rule.signal_seconds) for rule in figures.rules}
    assert told == {(None, None, None, None)}
    assert [rule.charged for rule in figures.rules] == [0, 9, 0, 9]
    assert render_page(figures).count('<td class="number">\u2013</td>') >= 6 * len(figures.rules)


def test_a_sum_over_some_of_the_units_is_no_figure(tmp_path):
    write_corpus(str(tmp_path), "select")
    next((tmp_path / "decisions").glob("00001-*.parquet.json")).unlink()
    rule = collect_figures(str(tmp_path)).rules[1]
    assert (rule.fires, rule.alone, rule.seconds) == (None, None, 1.0)


def test_a_recipe_of_another_version_has_no_rules_to_ask(tmp_path):
    write_corpus(str(tmp_path), "select")
    manifest = tmp_path / "decisions" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"min_words"', '"min_wrods"'))
    figures = collect_figures(str(tmp_path))
    assert figures.rules == () and figures.sample.distributions == ()
    assert "Another version of pairmill wrote this recipe" in render_page(figures)


def list_fetched(corpus):
    return [row for row in corpus[1] if row["outcome"] == OK]


def test_a_small_corpus_is_its_own_sample(corpus, figures):
    rows = list_fetched(corpus)
    assert figures.sample.rows == figures.sample.fetched == len(rows) and figures.sample.is_all
    assert figures.sample.what_if.kept == figures.kept


def test_a_sample_is_the_same_whatever_the_rest_of_the_corpus(corpus, monkeypatch):
    manifests = find_current(read_stages(corpus[0]))
    few = draw_sample(corpus[0], manifests, {"width"}, most_rows=20)
    assert few.rows == 20 and few.fetched == len(list_fetched(corpus))
    more = draw_sample(corpus[0], manifests, {"width"}, most_rows=30)
    assert set(few.signals["width"].to_pylist()) <= set(more.signals["width"].to_pylist())
    monkeypatch.setattr(sample_module, "LEAST_UNITS", 1)
    monkeypatch.setattr(sample_module, "ROWS_OPENED", 1)
    assert draw_sample(corpus[0], manifests, {"width"}).rows == 24  # of one unit alone


def test_a_signal_that_select_has_measured_is_read_beside_its_decisions(tmp_path):
    rows = write_corpus(str(tmp_path), "select")
    for file in (tmp_path / "decisions").glob("0*.parquet"):
        table = pq.read_table(file)
        counts = pa.array(range(len(table)), pa.uint32())
        pq.write_table(table.append_column("caption_count", counts), file)
    sample = draw_sample(str(tmp_path), find_current(read_stages(str(tmp_path))), {"caption_count"})
    expected = [row["row"] % UNIT_ROWS for row in rows if row["outcome"] == OK]
    assert sample.signals["caption_count"].to_pylist() == expected


@pytest.mark.parametrize("signal", ["caption_chars", "boilerplate_ratio", "short_side_px"])
def test_a_histogram_counts_every_row_once(corpus, figures, signal):
    (one,) = [d for d in figures.sample.distributions if d.signal == signal]
    rows = list_fetched(corpus)
    assert sum(one.kept) == sum(decide(row) == "kept" for row in rows)
    here = {"caption_chars": (), "boilerplate_ratio": ("boilerplate",)}.get(signal, ("short_side",))
    assert sum(one.dropped_here) == sum(decide(row) in here for row in rows)
    assert sum(one.kept + one.dropped_here + one.dropped_elsewhere) == len(rows)
    values = [make_signals(row)[signal] for row in rows if decide(row) == "kept"]
    bins = np.clip(np.searchsorted(one.edges, values, side="right") - 1, 0, len(one.kept) - 1)
    assert one.kept == tuple(np.bincount(bins, minlength=len(one.kept)))


def test_a_threshold_is_drawn_on_the_signal_that_it_cuts(figures):
    cuts = {
        (one.signal, cut.rule, cut.field): (cut.value, cut.offset)
        for one in figures.sample.distributions
        for cut in one.thresholds
    }
    assert cuts == {
        ("caption_chars", "caption_length", "min_chars"): (3, -0.5),
        ("caption_words", "caption_length", "min_words"): (1, -0.5),
        ("boilerplate_ratio", "boilerplate", "max_ratio"): (0.5, 0.0),
        ("aspect_ratio", "aspect_ratio", "min_ratio"): (0.5, 0.0),
        ("aspect_ratio", "aspect_ratio", "max_ratio"): (2.0, 0.0),
        ("short_side_px", "short_side", "min_side_px"): (256, -0.5),
    }
    (ratio,) = [d for d in figures.sample.distributions if d.signal == "aspect_ratio"]
    assert 0 == ratio.place(0.5) < ratio.place(1.0) < ratio.place(2.0) == 1


def test_equal_numbers_of_one_rule_cut_each_its_own_signal():
    columns = dict.fromkeys(("url_ratio", "email_ratio", "telephone_ratio"), [0.0, 0.25, 1.0])
    signals = pa.record_batch(
        [pa.array(values, pa.float32()) for values in columns.values()], list(columns)
    )
    rule = Contacts(max_url_ratio=0.5, max_email_ratio=0.5, max_telephone_ratio=0.5)
    cuts = {name: [c.field for c in find_thresholds(signals, name, rule)] for name in columns}
    assert cuts == {name: [f"max_{name}"] for name in columns}


@given(st.lists(st.integers(0, 10**5), max_size=60), st.integers(0, 10**5))
def test_the_bins_of_whole_numbers_lie_between_them_and_hold_all_but_the_tails(values, cut):
    scale, edges = choose_edges(np.array(values, float), [cut], whole=True)
    assert scale in ("linear", "log") and len(edges) >= 2
    assert np.all(np.diff(edges) >= 1) and np.all(edges % 1 == 0.5)
    inside = sum(edges[0] < value < edges[-1] for value in values)
    assert inside >= 0.99 * len(values) - 2 and edges[0] < cut < edges[-1]


def test_languages_and_sizes_are_those_of_a_slow_count(corpus, figures):
    rows = list_fetched(corpus)
    kinds = figures.sample.kinds
    codes = Counter(make_signals(row)["cld3_language"] for row in rows)
    kept = Counter(make_signals(row)["cld3_language"] for row in rows if decide(row) == "kept")
    assert {kind.name: kind.rows for kind in kinds.languages["cld3"]} == codes
    assert {kind.name: kind.kept for kind in kinds.languages["cld3"]} == kept
    sides = {kind.name: kind.rows for kind in kinds.short_sides if kind.rows}
    small = sum(row["original_height"] == 200 for row in rows)
    assert sides == {"128 \u2013 256": small, "256 \u2013 384": len(rows) - small}
    assert sum(kind.rows for kind in kinds.aspects) == len(rows)
    assert sum(kind.kept for kind in kinds.aspects) == figures.kept
