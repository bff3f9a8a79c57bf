"""What each rule does, and what lists drop, in verdicts and in the decisions' records."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.selecting import verdicts
from pipelines.selecting.verdicts import apply_rules
from tests.pipelines.selecting.select_corpus import (
    SHORT_SIDE,
    Picture,
    plan,
    reasons,
    run,
    select,
    write_corpus,
)


@dataclass(frozen=True, slots=True)
class Above:
    """Drops numbers above a limit."""

    signals: ClassVar[tuple[str, ...]] = ("number",)

    limit: int
    reason: str

    def __call__(self, signals):
        return signals["number"].to_numpy() > self.limit


RULES = (Above(5, "large"), Above(2, "middling"), Above(9, "huge"))


def judge(numbers, outcomes, earlier=None):
    signals = pa.table({"number": pa.array(numbers, pa.int64())})
    return apply_rules(signals, pa.array(outcomes, pa.string()), RULES, earlier)


def test_every_rule_is_asked_about_every_fetched_row():
    judged = judge([1, 3, 6, 10, 10], ["ok", "ok", "ok", "ok", "timeout"])
    counts = {name: (rule["fires"], rule["only"]) for name, rule in judged.rules.items()}
    assert counts == {"large": (2, 0), "middling": (3, 1), "huge": (1, 0)}
    assert judged.together == {"large middling": 2, "large huge": 1, "middling huge": 1}
    assert all(rule["seconds"] >= 0 for rule in judged.rules.values())


def test_what_is_dropped_earlier_still_counts_for_the_rules():
    again = np.array([False, True, False])
    listed = np.array([True, True, False])
    judged = judge([6, 6, 6], ["ok", "ok", "ok"], {"duplicate_pair": again, "optout_list": listed})
    assert judged.reasons.to_pylist() == ["optout_list", "duplicate_pair", "large"]
    assert judged.rules["large"]["fires"] == 3


def test_a_failed_fetch_is_neither_listed_nor_twice():
    everything = np.array([True])
    judged = judge([1], ["timeout"], {"duplicate_pair": everything, "optout_list": everything})
    assert judged.reasons.to_pylist() == ["timeout"]


WORDS = {"filter": "caption_length", "min_chars": 1, "min_words": 3}


def test_the_decisions_record_says_what_each_rule_did(tmp_path: Path):
    rows = [Picture(0, 100, "one two three"), Picture(0, 300, "one"), Picture(0, 100, "two")]
    select(
        tmp_path, [rows], {"rules": [WORDS, SHORT_SIDE]}, caption_chars=lambda _: pa.array([9] * 3)
    )
    (record,) = (tmp_path / "decisions").glob("*.parquet.json")
    side = json.loads(record.read_text())["side"]
    counts = {name: (rule["fires"], rule["only"]) for name, rule in side["rules"].items()}
    assert counts == {"caption_length": (2, 1), "short_side": (2, 1)}
    assert side["together"] == {"caption_length short_side": 1}
    assert side["seconds"] >= 0


def test_reads_only_the_columns_that_rules_name(tmp_path: Path, monkeypatch):
    read = []

    class Noting(pq.ParquetFile):
        def read(self, columns=None, **options):
            read.append(columns)
            return super().read(columns, **options)

    done = write_corpus(
        tmp_path, [[Picture(0)]], {"clip_image_embedding": lambda _: pa.array([[1.0]])}
    )
    monkeypatch.setattr(pq, "ParquetFile", Noting)
    run(plan(tmp_path, done, {}))
    assert all(columns is not None for columns in read)
    assert {name for columns in read for name in columns} == {
        *("pair_id", "outcome", "short_side_px", "reason", "pixel_hash")
    }


def test_lists_drop_pairs_without_asking_again(tmp_path: Path):
    url = "https://gone.example.org/a.jpg"
    body = np.random.default_rng([32, False, 5]).bytes(32)
    listed = tmp_path / "optout.txt"
    listed.write_text(f"{url}\nnever.example\n{body.hex()}\n")
    rows = [
        Picture(0, url=url),
        Picture(0, url=url + "?other"),
        Picture(0, url="https://www.never.example/b.jpg"),
        Picture(0, bytes=5),
        Picture(0, 100, url=url),
        Picture(None, url=url, outcome="http_404"),
    ]
    decided = select(tmp_path, [rows], {"optout_lists": [str(listed)]})
    assert reasons(decided) == ["optout_list", "kept", *["optout_list"] * 3, "http_404"]


def test_another_entry_in_a_list_makes_the_stage_stale(tmp_path: Path):
    listed = tmp_path / "optout.txt"
    done = write_corpus(tmp_path, [[Picture(0)]])
    found = []
    for text in ("never.example", "ever.example"):
        listed.write_text(text)
        verdicts.load_optout.cache_clear()
        job = plan(tmp_path, done, {"optout_lists": [str(listed)]})
        found.append(job.publish.generation.section_sha256)
    assert found[0] != found[1]
