"""A report says what the files say, to whatever stage they reach, and stays harmless."""

import functools
import json
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from filters import FILTERS
from pipelines.commit import Output, Written, commit_file, commit_table, hash_entries, publish
from pipelines.ledger import FETCH_OUTCOMES, REASONS, add_counts, count_outcomes
from pipelines.pairs import PAIRS_SCHEMA, make_pair_id
from pipelines.recipe import load_recipe
from pipelines.report import write_report
from pipelines.report.__main__ import main
from pipelines.report.figures import collect_figures
from pipelines.report.meanings import explain
from pipelines.report.words import CONTROLS, escape, show_bytes, show_caption
from tokens.dvae import Dvae, DvaeSizes
from tokens.dvae_file import dvae_bytes
from tokens.manifest import Manifest
from tokens.sequence import SequenceLayout
from tokens.shards import shard_schema, write_shard

UNIT_ROWS, UNITS = 30, 3
SIDE_PX = 16
LAYOUT = SequenceLayout(text_slots=8, grid_height=8, grid_width=8, image_vocab_size=16)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=http://evil.example/x onerror=alert(1)>',
    "\u202egnp.exe\u202c reversed",
    "never closed \u202e",
    "ten kilobytes " + "x" * 10_240,
    "</bdi></figure></section><h1>taken over",
    "controls \x00\x1b[31m\x85 and a form feed \x0c",
)
STAGES = ("fetch", "score", "select", "encode")


def draw_picture(number):
    """A picture of its own, as it is stored: 16 to 40 px a side."""
    draws = np.random.default_rng(number)
    height, width = draws.integers(SIDE_PX, 40, 2)
    pixels = draws.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


def make_row(number):
    caption = HOSTILE[number // 2 % len(HOSTILE)] if number % 2 else f"picture {number}"
    url = f"http://pictures.example/{number}?<script>alert(2)</script>"
    fetched = number % 5 != 4
    row = dict.fromkeys(PAIRS_SCHEMA.names) | {
        "source": 0,
        "row": number,
        "pair_id": make_pair_id(url, caption),
        "url": url,
        "caption": caption,
        "outcome": "ok" if fetched else ("http_404", "timeout")[number // 5 % 2],
    }
    if not fetched:
        return row | {"signal": f"X-Robots-Tag: <s>{number}</s>"}
    return row | {"image": draw_picture(number), "original_width": 400, "original_height": 300}


def decide(row):
    if row["outcome"] != "ok":
        return row["outcome"]
    return ("kept", "kept", "kept", "language", "short_side")[row["row"] % 5]


def write_stage(directory, stage, folder, tables, inputs, counted=None, details=None):
    """Commit one file a table and publish the stage's manifest."""
    entries = tuple(
        commit_table(
            Output(f"{directory}/{folder}", f"{index:05d}-{stage}.parquet", index=index),
            table,
            Written(
                len(table),
                count_outcomes(table[counted]) if counted else {},
                count_outcomes(table["split"].drop_null()) if "split" in table.column_names else {},
                {"seconds": 1.5},
            ),
        )
        for index, table in enumerate(tables)
    )
    recipe = load_recipe("demo").to_dict()
    manifest = Manifest(
        stage, 0, entries, add_counts(entries), recipe, "section", inputs, details or {}
    )
    return publish(f"{directory}/{folder}", manifest)


def write_corpus(directory, until="encode"):
    """A build of 90 rows, by hand: every fifth row fails, captions are hostile, rules drop some."""
    wanted = STAGES[: STAGES.index(until) + 1]
    rows = [make_row(number) for number in range(UNIT_ROWS * UNITS)]
    units = [rows[start : start + UNIT_ROWS] for start in range(0, len(rows), UNIT_ROWS)]
    tables = [pa.Table.from_pylist(unit, schema=PAIRS_SCHEMA) for unit in units]
    read = write_stage(directory, "rows", "rows", [t.select(["url"]) for t in tables], {})
    inputs = {"rows": hash_entries(read.files)}
    fetched = write_stage(directory, "fetch", "pairs", tables, inputs, "outcome")
    inputs = {"pairs": hash_entries(fetched.files)}
    if "score" in wanted:
        signals = [table.select(["pair_id"]) for table in tables]
        scored = write_stage(directory, "score", "signals", signals, inputs)
        inputs |= {"signals": hash_entries(scored.files)}
    if "select" in wanted:
        decisions = [make_decisions(unit) for unit in units]
        decided = write_stage(directory, "select", "decisions", decisions, inputs, "reason")
    if "encode" in wanted:
        inputs = {"pairs": inputs["pairs"], "decisions": hash_entries(decided.files)}
        write_tokens(directory, [row for row in rows if decide(row) == "kept"], inputs)
    return rows


def make_decisions(unit):
    reasons = [decide(row) for row in unit]
    splits = [split_of(row) if decide(row) == "kept" else None for row in unit]
    return pa.table(
        {
            "pair_id": pa.array([row["pair_id"] for row in unit], pa.binary(16)),
            "reason": pa.array(reasons, pa.string()),
            "split": pa.array(splits, pa.string()),
        }
    )


def split_of(row):
    return "val" if row["row"] % 10 == 0 else "train"


def write_tokens(directory, kept, inputs):
    details = {
        "side_px": SIDE_PX,
        "views": 1,
        "text_slots": LAYOUT.text_slots,
        "text_vocab_size": LAYOUT.text_vocab_size,
        "grid_height": LAYOUT.grid_height,
        "grid_width": LAYOUT.grid_width,
        "image_vocab_size": LAYOUT.image_vocab_size,
        "image_tokenizer_name": "tiny",
    }
    entries = []
    for split in ("train", "val"):
        table = make_shard([row for row in kept if split_of(row) == split])
        output = Output(f"{directory}/tokens", f"{split}/view0-00000.parquet", f"{split}/view0")
        written = Written(len(table), side={"seconds": 2.0})
        entries.append(commit_file(output, functools.partial(write_shard, table=table), written))
    recipe = load_recipe("demo").to_dict()
    manifest = Manifest("encode", 0, tuple(entries), {}, recipe, "section", inputs, details)
    publish(f"{directory}/tokens", manifest)
    write_tokenizer(Path(directory, "tokens", "tokenizers", "image.safetensors"))


def write_tokenizer(file, part=""):
    """A dVAE of random weights; `part` names the half that the file holds."""
    torch.manual_seed(0)
    sizes = DvaeSizes(vocab_size=16, hidden=4, decoder_init=4, group_count=2, blocks_per_group=1)
    file.parent.mkdir(exist_ok=True)
    weights = safetensors.torch.load(dvae_bytes(Dvae(sizes), {}))
    half = {name: tensor for name, tensor in weights.items() if name.startswith(part)}
    file.write_bytes(safetensors.torch.save(half))


def make_shard(rows):
    draws = np.random.default_rng(7)
    lengths = [row["row"] % 9 for row in rows]
    columns = dict.fromkeys(shard_schema(LAYOUT, 0).names, [None] * len(rows)) | {
        "pair_id": [row["pair_id"] for row in rows],
        "view": [0] * len(rows),
        "text_tokens": [list(range(length)) for length in lengths],
        "text_truncated": [length == 8 for length in lengths],
        "image_codes": draws.integers(0, 10, (len(rows), LAYOUT.num_codes)).tolist(),
        "caption": [row["caption"] for row in rows],
    }
    return pa.table(columns, schema=shard_schema(LAYOUT, 0))


class Page(HTMLParser):
    """Every tag and attribute of a page; fails where tags do not close in order."""

    VOID = {"meta", "img", "br", "rect", "line"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], Counter(), [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A whole build and its rows."""
    directory = tmp_path_factory.mktemp("build") / "corpus"
    rows = write_corpus(str(directory))
    write_report(str(directory))
    return directory, rows


@pytest.fixture(scope="module")
def page(corpus):
    return Page((corpus[0] / "report.html").read_text(encoding="utf-8"))


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


def test_a_row_without_a_picture_shows_what_decided(page):
    shown = [text for tag, text in page.texts if tag == "bdi" and text.startswith("X-Robots-Tag")]
    assert "X-Robots-Tag: <s>4</s>" in shown
    assert not page.tags["s"]


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


def test_an_encoder_alone_makes_a_report_without_decoded_pictures(tmp_path):
    write_corpus(str(tmp_path))
    write_tokenizer(tmp_path / "tokens" / "tokenizers" / "image.safetensors", "encoder.")
    page = Path(write_report(str(tmp_path))).read_text(encoding="utf-8")
    assert "it cannot draw" in page


def test_hostile_captions_make_no_tag_and_no_handler(page):
    assert not set(page.tags) & {"script", "iframe", "object", "link", "base", "form", "input"}
    assert page.tags["h1"] == 1
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_hostile_captions_are_shown_as_they_are_in_an_element_of_their_own_direction(page):
    isolated = [text for tag, text in page.texts if tag in ("bdi", "div")]
    for caption in HOSTILE[:4]:
        assert caption in isolated
    for tag, text in page.texts:
        assert "\u202e" not in text or tag in ("bdi", "div"), tag


def test_a_long_caption_is_cut_and_its_length_told(page):
    assert max(len(text) for tag, text in page.texts if tag != "style") < 5_000
    assert "all 10,254 characters" in [text for tag, text in page.texts if tag == "summary"]


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
    contents = [value for tag, name, value in page.attributes if (tag, name) == ("meta", "content")]
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in contents


def test_every_link_leads_somewhere(page):
    names = [value for _, name, value in page.attributes if name == "id"]
    assert len(names) == len(set(names))
    links = {value[1:] for _, name, value in page.attributes if name == "href"}
    assert links <= set(names)


def test_the_json_has_the_figures_of_the_page_and_no_pictures(corpus):
    directory, _ = corpus
    document = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    figures = collect_figures(str(directory))
    assert document["kept"] == figures.kept
    assert document["recipe_sha256"] == load_recipe("demo").sha256
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


def test_books_that_do_not_balance_are_said_not_to(tmp_path):
    write_corpus(str(tmp_path), "select")
    manifest = tmp_path / "decisions" / "manifest.json"
    document = json.loads(manifest.read_text())
    document["counts"]["kept"] -= 1
    manifest.write_text(json.dumps(document))
    page = Path(write_report(str(tmp_path))).read_text(encoding="utf-8")
    assert "the books do not balance" in page


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
