"""The whole way of rows to hosts that ask to be spared: headers, lists, waits, dead hosts."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from pipelines.web.addresses import AddressGuard
from pipelines.web.client import Client, Fetched
from pipelines.web.fault_answers import ok
from pipelines.web.fault_exchange import Exchange, Fault
from pipelines.web.fault_waits import silence
from pipelines.web.faultserver import FaultServer, fault_server
from pipelines.web.lists import load_lists
from pipelines.web.settings import FetchSettings

from .asking import Names, fetch_all, fetch_one, run_virtual


def by_name(
    urls: Callable[[FaultServer], list[str]],
    routes: Mapping[str, Fault],
    **limits: float,
) -> tuple[list[Fetched], FaultServer, float]:
    """Fetch from one server under any name, all in virtual time; also how long it took."""
    server = FaultServer(routes=routes)

    async def run() -> tuple[list[Fetched], float]:
        listening = await server.start("127.0.0.1")
        guard = AddressGuard(("127.0.0.1/32",), (server.port,))
        settings = replace(FetchSettings(guard=guard), **limits)
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with Client(settings, Names(("127.0.0.1",))) as client:
            fetched = await fetch_all(client, urls(server))
            seconds = loop.time() - started
        listening.close()
        return fetched, seconds

    fetched, seconds = run_virtual(run())
    return fetched, server, seconds


class Busy:
    """429 with a Retry-After to the first requests, then pictures; notes when it was asked."""

    def __init__(self, retry_after: str | None, times: int = 1) -> None:
        self.retry_after, self.times = retry_after, times
        self.starts: list[float] = []

    async def __call__(self, exchange: Exchange) -> None:
        self.starts.append(asyncio.get_running_loop().time())
        headers = [] if self.retry_after is None else [f"Retry-After: {self.retry_after}"]
        if len(self.starts) > self.times:
            await ok(exchange)
        else:
            exchange.reply("429 Too Many Requests", b"later", *headers)

    @property
    def first_gap_s(self) -> float:
        return self.starts[1] - self.starts[0]


@pytest.mark.parametrize(
    ("retry_after", "least_s", "most_s"),
    [
        pytest.param(None, 30.0, 35.0, id="no word of it: half a minute"),
        pytest.param("120", 120.0, 125.0, id="seconds"),
        pytest.param("soon", 30.0, 35.0, id="garbage"),
        pytest.param("-5", 30.0, 35.0, id="less than nothing"),
    ],
)
def test_waits_as_long_as_a_busy_host_asks(
    retry_after: str | None, least_s: float, most_s: float
) -> None:
    busy = Busy(retry_after)

    (fetched,), _, _ = by_name(lambda server: [server.url("/a", "busy.example")], {"/a": busy})

    assert fetched.outcome == "ok"
    assert least_s <= busy.first_gap_s < most_s


def test_waits_until_the_date_that_a_busy_host_gives() -> None:
    busy = Busy(format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True))

    (fetched,), _, _ = by_name(lambda server: [server.url("/a", "busy.example")], {"/a": busy})

    assert fetched.outcome == "ok"
    assert 90 < busy.first_gap_s < 110


def test_ends_a_row_that_is_to_wait_for_ten_years_and_spares_the_host() -> None:
    busy = Busy(str(10 * 365 * 86_400))

    fetched, server, _ = by_name(
        lambda server: [server.url("/a", "busy.example")] * 2, {"/a": busy}
    )

    assert [one.outcome for one in fetched] == ["http_429", "ok"]
    assert busy.first_gap_s == pytest.approx(300.0, abs=5)  # the longest pause, for all its rows
    assert server.hits["/a"] == 2


def test_does_not_ask_again_for_what_is_gone() -> None:
    fetched, server, _ = by_name(
        lambda server: [server.url(f"/status?code={code}", "h.example") for code in (404, 410)], {}
    )

    assert [one.outcome for one in fetched] == ["http_404", "http_410"]
    assert server.hits["/status"] == 2


def test_a_tarpit_with_half_of_the_rows_holds_up_nobody_else() -> None:
    """N19: 200 hosts with a row each, and one that takes connections and says nothing."""
    ended: dict[str, float] = {}

    async def host_by_host(exchange: Exchange) -> None:
        if exchange.host == "tarpit.example":
            await silence(exchange)
            return
        ended[exchange.host] = asyncio.get_running_loop().time()
        await ok(exchange)

    def urls(server: FaultServer) -> list[str]:
        tarpit = [server.url("/a", "tarpit.example")] * 200
        return tarpit + [server.url("/a", f"host{number}.example") for number in range(200)]

    fetched, server, seconds = by_name(
        urls, {"/a": host_by_host}, total_timeout_s=5, max_host_failures=4, total_concurrency=8
    )

    tarpit = Counter(one.outcome for one in fetched[:200])
    assert Counter(one.outcome for one in fetched[200:]) == {"ok": 200}
    assert max(ended.values()) - min(ended.values()) < 10
    assert tarpit["timeout"] in (4, 5)  # one more may be under way when the fourth one ends
    assert tarpit["host_circuit_open"] == 200 - tarpit["timeout"]
    assert server.hits["/a"] == 200 + tarpit["timeout"]
    assert seconds < 120


def test_defers_what_a_host_has_no_time_for() -> None:
    fetched, server, seconds = by_name(
        lambda server: [server.url("/ok", "one.example")] * 40, {}, host_budget_s=20
    )

    ended = Counter(one.outcome for one in fetched)
    assert set(ended) == {"ok", "host_deferred"}
    assert 18 <= ended["ok"] <= 22
    assert server.hits["/ok"] == ended["ok"]
    assert seconds < 25
    assert all("its turn came in" in str(one.signal) for one in fetched if one.body is None)


@pytest.mark.parametrize(
    ("header", "signal"),
    [
        ("X-Robots-Tag: noml", "X-Robots-Tag: noml"),
        ("X-Robots-Tag: all\r\nX-Robots-Tag: NOAI", "X-Robots-Tag: noai"),
        ("tdm-reservation: 1", "TDM-Reservation: 1"),
        ("Content-Usage: train-ai=n", "Content-Usage: train-ai=n"),
    ],
)
def test_reads_no_body_where_a_header_speaks_against_it(header: str, signal: str) -> None:
    async def reserved(exchange: Exchange) -> None:
        exchange.head("200 OK", "Content-Length: 1000000000", header)
        await silence(exchange)

    with fault_server(routes={"/a": reserved}) as server:
        guard = AddressGuard(("127.0.0.1/32",), (server.port,))
        fetched = fetch_one(server.url("/a"), FetchSettings(guard=guard))

        assert (fetched.outcome, fetched.signal) == ("optout_header", signal)
        assert (fetched.http_status, fetched.body) == (200, None)


def test_takes_an_opt_out_on_the_way_for_one() -> None:
    async def reserved(exchange: Exchange) -> None:
        exchange.reply("302 Found", b"", "Location: /ok", "tdm-reservation: 1")

    with fault_server(routes={"/a": reserved}) as server:
        guard = AddressGuard(("127.0.0.1/32",), (server.port,))
        fetched = fetch_one(server.url("/a"), FetchSettings(guard=guard))

        assert fetched.signal == "TDM-Reservation: 1"
        assert not server.hits["/ok"]


def test_asks_nothing_of_those_who_are_listed(tmp_path: Path) -> None:
    """P06: by URL and by host, on the first hop and behind a redirect."""
    with fault_server() as server:
        file = tmp_path / "optout.txt"
        file.write_text(f"gone.example\n{server.url('/listed', 'h.example')}\n")
        guard = AddressGuard(("127.0.0.1/32",), (server.port,))
        settings = FetchSettings(guard=guard, host_delay_s=0.01, host_delay_factor=0)
        urls = [
            server.url("/ok", "images.gone.example"),
            server.url("/listed", "h.example"),
            server.url(f"/redirect?to={server.url('/ok', 'gone.example')}", "h.example"),
            server.url("/ok", "h.example"),
        ]

        async def run() -> list[Fetched]:
            lists = load_lists([str(file)], [])
            async with Client(settings, Names(("127.0.0.1",)), lists) as client:
                return await fetch_all(client, urls)

        fetched = asyncio.run(run())

        assert [one.outcome for one in fetched] == [*["optout_list"] * 3, "ok"]
        assert [one.signal for one in fetched] == [
            "optout.txt: host gone.example",
            "optout.txt: this URL",
            "optout.txt: host gone.example",
            None,
        ]
        assert server.hits == {"/robots.txt": 1, "/redirect": 1, "/ok": 1}


SHARE = """
import asyncio, sys
sys.path[:0] = ["."]
from pipelines.web.addresses import AddressGuard
from pipelines.web.client import Client
from pipelines.web.settings import FetchSettings
from tests.pipelines.web.asking import Names, fetch_all

port, worker = int(sys.argv[1]), sys.argv[2]
settings = FetchSettings(
    guard=AddressGuard(("127.0.0.1/32",), (port,)),
    workers=2, host_delay_s=0.1, host_delay_factor=0.0,
)

async def run():
    async with Client(settings, Names(("127.0.0.1",))) as client:
        url = f"http://shared.example:{port}/a?worker={worker}"
        fetched = await fetch_all(client, [url] * 6)
    assert {one.outcome for one in fetched} == {"ok"}, fetched

asyncio.run(run())
"""


def test_two_processes_share_a_hosts_rate_and_places() -> None:
    """P05, by the server's own clock: each keeps twice the delay and has one place of the two."""
    asked: dict[str, list[tuple[float, float]]] = {"0": [], "1": []}

    async def noting(exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await asyncio.sleep(0.02)
        await ok(exchange)
        asked[exchange.query["worker"]].append((started, loop.time()))

    with fault_server(routes={"/a": noting}) as server:
        workers = [
            subprocess.Popen([sys.executable, "-c", SHARE, str(server.port), worker])
            for worker in asked
        ]
        assert [worker.wait(60) for worker in workers] == [0, 0]

    for times in asked.values():
        assert len(times) == 6
        assert times[-1][0] - times[0][0] >= 5 * 0.2 * 0.95
        for (before, ended), (after, _) in zip(times, times[1:], strict=False):
            assert after - before >= 0.1  # a loaded server sees some of them late
            assert after >= ended
    assert server.hits["/robots.txt"] == 2


def test_takes_no_cookie() -> None:
    async def setting(exchange: Exchange) -> None:
        exchange.reply("302 Found", b"", "Location: /ok", "Set-Cookie: id=1; Path=/")

    with fault_server(routes={"/a": setting}) as server:
        guard = AddressGuard(("127.0.0.1/32",), (server.port,))
        fetch_one(server.url("/a"), FetchSettings(guard=guard))

        assert server.hits["/ok"] == 1
        assert not any("cookie" in head.lower() for head in server.headers)
