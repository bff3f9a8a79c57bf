"""What a build prints at its end."""

import pytest

from pipelines.by_source import count_by_source
from pipelines.summary import describe_build
from tokens.manifest import FileEntry, Manifest

SOURCES = [
    {"name": "cc3m", "license": None, "first_unit": 0, "units": 2, "rows": 15},
    {"name": "yfcc100m", "license": "CC BY", "first_unit": 2, "units": 1, "rows": 5},
]
UNITS = [{"ok": 8, "http_404": 2}, {"ok": 5}, {"ok": 1, "http_404": 4}]


def make_manifest(stage, counts, **details):
    files = tuple(
        FileEntry(f"{index}.parquet", "", index, sum(unit.values()), 1000, "", unit)
        for index, unit in enumerate(counts)
    )
    total = {}
    for unit in counts:
        for outcome, rows in unit.items():
            total[outcome] = total.get(outcome, 0) + rows
    return Manifest(stage, 1, files, total, {}, "", {}, details)


@pytest.fixture
def fetched():
    return make_manifest("fetch", UNITS)


def test_counts_each_source_from_its_own_units(fetched):
    first, second = count_by_source(make_manifest("rows", UNITS, sources=SOURCES), fetched)
    assert (first.name, first.license, first.rows) == ("cc3m", "", 15)
    assert first.counts == {"ok": 13, "http_404": 2}
    assert second.counts == {"ok": 1, "http_404": 4}


def test_several_sources_have_a_column_each(fetched):
    done = {"rows": make_manifest("rows", UNITS, sources=SOURCES), "fetch": fetched}
    lines = describe_build(done, {"fetch": 1.0}).splitlines()
    assert lines[0].split() == ["all", "cc3m", "yfcc100m"]
    assert lines[1].split() == ["read", "20", "15", "5"]
    assert lines[2].split() == ["http_404", "6", "2", "4"]
    assert lines[3].split() == ["fetched", "14", "13", "1"]


@pytest.mark.parametrize("sources", [{}, {"sources": SOURCES[:1]}], ids=["old build", "one source"])
def test_one_source_needs_no_column(fetched, sources):
    done = {"rows": make_manifest("rows", UNITS, **sources), "fetch": fetched}
    lines = describe_build(done, {"fetch": 1.0}).splitlines()
    assert lines[0] == f"{'read':<22}{20:>12} rows"
    assert lines[1].split() == ["http_404", "6"]


def test_says_which_flag_allows_a_host_that_was_refused():
    refused = make_manifest("fetch", [{"ok": 1, "ssrf_blocked": 2}])
    told = describe_build({"rows": refused, "fetch": refused}, {"fetch": 1.0})
    assert told.endswith("2 rows ended as ssrf_blocked: --allow_network allows such a host by hand")
