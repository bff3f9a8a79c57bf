"""A report says what the files say, to whatever stage they reach."""

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters import FILTERS
from pipelines.ledger import FETCH_OUTCOMES, REASONS
from pipelines.pairs import PAIRS_SCHEMA
from pipelines.report import write_report
from pipelines.report.__main__ import main
from pipelines.report.figures import collect_figures
from pipelines.report.meanings import explain
from tests.pipelines.report.report_corpus import (
    RECIPE,
    SIDE_PX,
    decide,
    make_row,
    split_of,
    write_corpus,
    write_stage,
)
from tests.pipelines.report.report_page import Page


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A whole build and its rows."""
    directory = tmp_path_factory.mktemp("build") / "corpus"
    rows = write_corpus(str(directory))
    write_report(str(directory))
    return directory, rows


def test_counts_are_those_of_a_slow_count_over_all_rows(corpus):
    directory, rows = corpus
    figures = collect_figures(str(directory))
    slow = Counter(decide(row) for row in rows)
    assert {reason.name: reason.rows for reason in figures.reasons} | {"kept": figures.kept} == slow
    assert figures.read == len(rows)
    assert figures.fetched == figures.scored == sum(row["outcome"] == "ok" for row in rows)
    assert figures.splits == Counter(split_of(row) for row in rows if decide(row) == "kept")
    assert figures.books_balance


def test_token_figures_are_those_of_a_slow_count_over_all_shards(corpus):
    directory, _ = corpus
    tokens = collect_figures(str(directory)).tokens
    files = sorted((directory / "tokens").glob("*/*.parquet"))
    shard = pa.concat_tables([pq.read_table(file) for file in files])
    lengths = Counter(len(ids) for ids in shard["text_tokens"].to_pylist())
    codes = Counter(code for grid in shard["image_codes"].to_pylist() for code in grid)
    shares = np.array(sorted(codes.values(), reverse=True)) / sum(codes.values())
    assert tokens.caption_lengths == tuple(lengths[length] for length in range(9))
    assert tokens.truncated == lengths[8]
    assert tokens.image_codes_used == len(codes) == 10
    assert tokens.code_shares[:10] == pytest.approx(shares)
    assert tokens.perplexity == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), abs=1e-3)
    assert tokens.text_ids_used == 8
    assert (tokens.pairs, tokens.total) == (len(shard), len(shard) * 72)


def test_each_reason_is_shown_with_rows_of_that_reason(corpus):
    directory, rows = corpus
    by_id = {row["pair_id"].hex(): row for row in rows}
    figures = collect_figures(str(directory))
    for reason in figures.reasons:
        assert len(reason.examples) == min(12, reason.rows)
        assert {decide(by_id[example.pair_id]) for example in reason.examples} == {reason.name}
        assert all(bool(e.thumbnail) == bool(by_id[e.pair_id]["image"]) for e in reason.examples)
    assert {decide(by_id[example.pair_id]) for example in figures.survivors} == {"kept"}


def test_decoded_pictures_stand_beside_the_pictures_of_the_same_pairs(corpus):
    directory, rows = corpus
    by_id = {row["pair_id"].hex(): row for row in rows}
    decoded = collect_figures(str(directory)).tokens.decoded
    assert len(decoded) == 12
    assert [pair.split for pair in decoded[:9]] == ["val"] * 9  # all there are, then training ones
    for pair in decoded:
        assert by_id[pair.pair_id]["caption"] == pair.caption
        assert split_of(by_id[pair.pair_id]) == pair.split
        for jpeg in (pair.original, pair.decoded):
            pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert pixels.shape == (SIDE_PX, SIDE_PX, 3)


def test_the_json_has_the_figures_of_the_page_and_no_pictures(corpus):
    directory, _ = corpus
    document = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    figures = collect_figures(str(directory))
    assert document["kept"] == figures.kept
    assert document["recipe_sha256"] == RECIPE.sha256
    assert {r["name"]: r["rows"] for r in document["reasons"]} == {
        reason.name: reason.rows for reason in figures.reasons
    }
    assert "thumbnail" not in document["survivors"][0]


def test_the_same_files_give_the_same_report_wherever_they_stand(corpus, tmp_path):
    write_corpus(str(tmp_path / "corpus"))
    write_report(str(tmp_path / "corpus"))
    for name in ("report.html", "report.json"):
        assert (tmp_path / "corpus" / name).read_bytes() == (corpus[0] / name).read_bytes()


@pytest.mark.parametrize(
    ("until", "states"),
    [
        pytest.param(
            "fetch", ["built", "built", "not built", "not built", "not built"], id="fetch"
        ),
        pytest.param("score", ["built", "built", "built", "not built", "not built"], id="score"),
        pytest.param("select", ["built", "built", "built", "built", "not built"], id="select"),
        pytest.param("encode", ["built"] * 5, id="encode"),
    ],
)
def test_a_build_that_stopped_early_is_shown_as_far_as_it_went(tmp_path, until, states):
    rows = write_corpus(str(tmp_path), until)
    page = Page(Path(write_report(str(tmp_path))).read_text(encoding="utf-8"))
    figures = collect_figures(str(tmp_path))
    assert [stage.state for stage in figures.stages] == states
    assert (figures.kept is None) == (until in ("fetch", "score"))
    assert (figures.tokens is None) == (until != "encode")
    assert figures.books_balance and len(figures.survivors) == 12
    assert sum(text == "not built" for tag, text in page.texts if tag == "td") >= states.count(
        "not built"
    )
    assert figures.read == len(rows)


def test_a_stage_made_of_older_pairs_is_out_of_date_and_not_counted(tmp_path):
    write_corpus(str(tmp_path))
    tables = [pa.Table.from_pylist([make_row(0)], schema=PAIRS_SCHEMA)]
    write_stage(str(tmp_path), "fetch", "pairs", tables, {"rows": "another"}, "outcome")
    figures = collect_figures(str(tmp_path))
    states = {stage.name: stage.state for stage in figures.stages}
    assert states["select"] == states["encode"] == "out of date"
    assert (figures.kept, figures.tokens, figures.fetched) == (None, None, 1)
    assert figures.waiting == 89 and figures.books_balance


def test_worker_time_is_the_sum_over_the_records(corpus):
    stages = {stage.name: stage for stage in collect_figures(str(corpus[0])).stages}
    assert stages["fetch"].worker_seconds == 4.5
    assert stages["encode"].worker_seconds == 4.0


def test_the_door_writes_the_report_and_says_where(tmp_path, capsys):
    write_corpus(str(tmp_path), "fetch")
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"report: {tmp_path}/report.html\n"
    assert (tmp_path / "report.json").exists()


def test_the_door_refuses_a_folder_without_pairs_in_one_sentence(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and str(tmp_path) in error and "--output" in error
    assert list(tmp_path.iterdir()) == []


def test_every_outcome_and_rule_is_explained():
    unexplained = [name for name in (*FETCH_OUTCOMES, *REASONS) if not explain(name)]
    assert not unexplained
    assert all(explain(rule.reason) for rule in FILTERS)
