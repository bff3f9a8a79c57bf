from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.commit import Written, commit_table, unit_output
from pipelines.fetching import host_plan
from pipelines.fetching.host_plan import HostCounts, HostPlan, count_hosts, plan_hosts
from pipelines.sources import make_rows_table
from pipelines.web.addresses import AddressGuard
from pipelines.web.settings import FetchSettings


def plan(settings: FetchSettings, *units: dict[str, int]) -> HostPlan:
    """The plan for units that are given as rows per host."""
    counts = HostCounts(settings)
    for unit in units:
        urls = [f"http://{host}/{n}.jpg" for host, rows in unit.items() for n in range(rows)]
        counts.add_unit(pa.chunked_array([urls]))
    return counts.plan()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://a.example/x.jpg", "a.example"),
        ("HTTPS://A.Example:8443/x.jpg", "a.example"),
        ("  http://a.example", "a.example"),
        ("http://a.example?x=/y", "a.example"),
        ("http://a.example#/y", "a.example"),
        ("http://user:password@a.example/x", "a.example"),
        ("http://[2606:4700::1]:80/x", "2606:4700::1"),
        ("http://192.0.2.1/x", "192.0.2.1"),
    ],
)
def test_finds_the_host_of_a_url(url: str, host: str) -> None:
    assert count_hosts(pa.chunked_array([[url, url]])) == {host: 2}


@pytest.mark.parametrize("url", ["", "no url", "http:/a.example", "http:///x", "//", None])
def test_leaves_out_what_names_no_host(url: str | None) -> None:
    assert count_hosts(pa.chunked_array([[url]], pa.string())) == {}


def test_says_nothing_where_no_host_binds() -> None:
    found = plan(FetchSettings(), {"a.example": 500, "b.example": 1}, {"a.example": 500})

    assert found.hosts == ()
    assert found.lines() == []


def test_names_a_host_with_more_rows_in_a_unit_than_its_budget_has_time_for() -> None:
    found = plan(FetchSettings(), {"a.example": 900, "b.example": 5}, {"a.example": 600})

    (host,) = found.hosts
    assert (host.host, host.rows, host.deferred) == ("a.example", 1500, 300)
    assert host.requests_per_s == 1.0
    assert found.lines() == [
        "1 host binds: up to 300 of 1,505 rows would wait longer than 600 s for their host's turn; "
        "pipelines.retry takes them up",
        "  a.example: 1,500 rows at 1/s take 0.4 h; up to 300 end as host_deferred",
    ]


def test_divides_the_budget_among_workers() -> None:
    (host,) = plan(FetchSettings(workers=4), {"a.example": 900}).hosts

    assert (host.deferred, host.requests_per_s) == (750, 1.0)


def test_shares_a_hosts_turns_among_the_units_that_are_open_at_once() -> None:
    counts = HostCounts(FetchSettings(), open_units=4)
    counts.add_unit(pa.chunked_array([["http://a.example/1.jpg"] * 200]))

    assert counts.plan().hosts[0].deferred == 50


def test_names_a_host_that_takes_hours_though_no_row_waits_too_long() -> None:
    units = [{"a.example": 500}] * 10

    (host,) = plan(FetchSettings(), *units).hosts

    assert (host.deferred, round(host.hours, 2)) == (0, 1.39)


def test_knows_the_rates_of_hosts_toml_and_of_allowed_addresses() -> None:
    allowed = FetchSettings(guard=AddressGuard(("127.0.0.1/32",)))

    assert plan(FetchSettings(), {"cdn.shopify.com": 9000}).hosts == ()
    assert plan(allowed, {"127.0.0.1": 9000}).hosts == ()
    assert plan(FetchSettings(), {"127.0.0.1": 9000}).hosts


def test_names_ten_hosts_with_the_most_hours_first() -> None:
    lines = plan(FetchSettings(), {f"h{n}.example": 700 + n for n in range(15)}).lines()

    assert lines[0].startswith("15 hosts bind: ")
    assert len(lines) == 12
    assert lines[1].startswith("  h14.example: 714 rows")
    assert lines[-1] == "  and 5 more hosts"


def test_keeps_the_large_hosts_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_plan, "MAX_HOSTS", 10)
    counts = HostCounts(FetchSettings())

    for unit in range(20):
        large = ["http://large.example/1.jpg"] * 650
        small = [f"http://{unit}.{n}.example/1.jpg" for n in range(9)]
        counts.add_unit(pa.chunked_array([large + small]))
        assert len(counts._rows) <= 10

    (host,) = counts.plan().hosts
    assert (host.host, host.rows, host.deferred) == ("large.example", 13_000, 1000)


def test_reads_the_urls_of_units_that_are_still_to_be_fetched(tmp_path: Path) -> None:
    folder, entries = str(tmp_path / "rows"), []
    rows = [("http://a.example/1", "a caption", None)] * 800
    for number in range(2):
        unit = make_rows_table(rows, 0, 0)
        done = pa.array(["http_404"] * 50 + [None] * 750, pa.string())
        stored = pa.array([None] * 750 + ["shard.tar"] * 50, pa.string())
        for name, column in (("outcome", done), ("shard", stored)):
            unit = unit.set_column(unit.schema.get_field_index(name), name, column)
        output = unit_output(folder, number, "f" * 64, str(number))
        entries.append(commit_table(output, unit, Written(800)))

    (host,) = plan_hosts(folder, entries, FetchSettings()).hosts

    assert (host.rows, host.deferred) == (1400, 200)
