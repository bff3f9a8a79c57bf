"""Turns of one host: how many at a time, how far apart, how late, and when no more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.fetching.refused import Refused
from pipelines.web import hosts as hosts_module
from pipelines.web.addresses import AddressGuard
from pipelines.web.hosts import REST_S, HostGate, HostGates
from pipelines.web.rates import share_of
from pipelines.web.settings import FetchSettings

from .asking import run_virtual

run_gate = partial(run_virtual, patience_s=0)

HOST = "unknown.example"


class Host:
    """What a host sees of one gate: when requests begin, and how many at a time."""

    def __init__(self, gate: HostGate, answer_s: float = 0.0) -> None:
        self.gate, self.answer_s = gate, answer_s
        self.starts: list[float] = []
        self.at_once, self.most = 0, 0

    async def ask(self, outcome: str = "ok", *, retry_after_s: float | None = None) -> None:
        async with self.gate.turn(no_place):
            self.starts.append(asyncio.get_running_loop().time())
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            await asyncio.sleep(self.answer_s)
            self.at_once -= 1
            self.gate.record(outcome, self.answer_s, retry_after_s)

    async def ask_all(self, rows: int) -> list[str]:
        """How each row ended."""
        ended = await asyncio.gather(*(self.ask() for _ in range(rows)), return_exceptions=True)
        return [one.reason if isinstance(one, Refused) else "ok" for one in ended]

    @property
    def gaps(self) -> list[float]:
        return [after - before for before, after in zip(self.starts, self.starts[1:], strict=False)]


async def no_place() -> None:
    pass


def test_asks_an_unknown_host_once_a_second() -> None:
    async def run() -> list[float]:
        host = Host(HostGate(HOST, FetchSettings()), answer_s=0.01)
        await host.ask_all(5)
        return host.gaps

    assert run_gate(run()) == pytest.approx([1.0] * 4, abs=0.1)


@pytest.mark.parametrize(
    ("answer_s", "gap_s"),
    [
        pytest.param(0.1, 1.0, id="a quick host: once a second"),
        pytest.param(2.0, 11.0, id="a slow one: five times its last answer after that"),
        pytest.param(10.0, 40.0, id="half a minute after the answer at most"),
    ],
)
def test_leaves_a_slow_host_alone_for_longer(answer_s: float, gap_s: float) -> None:
    async def run() -> list[float]:
        host = Host(HostGate(HOST, FetchSettings(host_concurrency=1)), answer_s)
        await host.ask_all(3)
        return host.gaps

    for gap in run_gate(run()):
        assert gap == pytest.approx(max(1.0, gap_s), rel=0.1)


def test_asks_a_few_at_a_time() -> None:
    settings = FetchSettings(host_concurrency=2, host_delay_s=0.001, host_delay_factor=0)

    async def run() -> int:
        host = Host(HostGate(HOST, settings), answer_s=5.0)
        await host.ask_all(12)
        return host.most

    assert run_gate(run()) == 2


def test_counts_the_delay_from_when_a_place_was_found() -> None:
    """Two turns whose places come free at the same moment still begin a second apart."""

    async def run() -> list[float]:
        gate, loop = HostGate(HOST, FetchSettings()), asyncio.get_running_loop()
        places, starts = asyncio.Semaphore(0), []

        async def ask() -> None:
            async with gate.turn(places.acquire):
                starts.append(loop.time())

        tasks = [asyncio.create_task(ask()) for _ in range(2)]
        await asyncio.sleep(10)
        places.release()
        places.release()
        await asyncio.gather(*tasks)
        return starts

    first, second = run_gate(run())

    assert second - first >= 0.99


def test_shares_a_hosts_rate_among_workers() -> None:
    async def run() -> list[float]:
        host = Host(HostGate(HOST, FetchSettings(workers=4)))
        await host.ask_all(3)
        return host.gaps

    assert run_gate(run()) == pytest.approx([4.0, 4.0], abs=0.1)


def test_asks_a_known_host_at_its_own_rate() -> None:
    async def run() -> float:
        host = Host(HostGate("cdn.shopify.com", FetchSettings()), answer_s=0.3)
        await host.ask_all(100)
        return host.starts[-1] - host.starts[0]

    assert run_gate(run()) == pytest.approx(99 / 20, rel=0.2)


def test_obeys_a_crawl_delay_of_all_workers_together() -> None:
    async def run() -> float:
        gate, starts = HostGate("cdn.shopify.com", FetchSettings(workers=2)), []
        loop = asyncio.get_running_loop()
        for _ in range(2):
            async with gate.turn(no_place, crawl_delay_s=10.0):
                starts.append(loop.time())
        return starts[1] - starts[0]

    assert run_gate(run()) == pytest.approx(20.0, abs=0.1)


def test_asks_an_allowed_address_without_limit_and_delay() -> None:
    settings = FetchSettings(guard=AddressGuard(("127.0.0.1/32",)))

    async def run() -> tuple[int, float]:
        host = Host(HostGate("127.0.0.1", settings), answer_s=1.0)
        await host.ask_all(50)
        return host.most, host.starts[-1] - host.starts[0]

    most, span_s = run_gate(run())

    assert most == 50
    assert span_s < 0.5


def test_defers_rows_whose_turn_would_come_too_late_at_once() -> None:
    settings = FetchSettings(host_budget_s=10.5)

    async def run() -> tuple[list[str], float, Refused]:
        loop = asyncio.get_running_loop()
        host, started = Host(HostGate(HOST, settings)), loop.time()
        waiting = [asyncio.create_task(host.ask()) for _ in range(11)]
        await asyncio.sleep(0)
        with pytest.raises(Refused) as refused:
            await host.ask()
        after_s = loop.time() - started
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        return [str(one) for one in ended], after_s, refused.value

    ended, after_s, refused = run_gate(run())

    assert ended == ["None"] * 11
    assert after_s < 0.5
    assert (refused.reason, refused.signal) == (
        "host_deferred",
        f"{HOST}: its turn came in 11 s",
    )


def test_defers_rows_when_the_host_turns_out_slower_than_it_seemed() -> None:
    async def run() -> tuple[list[str], float]:
        loop = asyncio.get_running_loop()
        host = Host(HostGate(HOST, FetchSettings(host_budget_s=100)), answer_s=6.0)
        started = loop.time()
        return await host.ask_all(50), loop.time() - started

    ended, seconds = run_gate(run())

    assert ended.count("ok") + ended.count("host_deferred") == 50
    assert ended.count("ok") < 10
    assert seconds < 150


@pytest.mark.parametrize(
    ("retry_after_s", "pause_s"), [(120.0, 120.0), (3600.0, 300.0), (None, 30.0), (0.0, 1.0)]
)
def test_pauses_the_whole_host_after_a_retry_after(
    retry_after_s: float | None, pause_s: float
) -> None:
    async def run() -> list[float]:
        host = Host(HostGate(HOST, FetchSettings()))
        await host.ask("http_429", retry_after_s=retry_after_s)
        await host.ask()
        return host.gaps

    assert run_gate(run()) == pytest.approx([pause_s], abs=0.1)


def test_opens_the_circuit_of_a_host_that_has_died_and_tries_again_later() -> None:
    settings = FetchSettings(max_host_failures=3, host_budget_s=10_000)

    async def run() -> list[str]:
        ended = []
        host = Host(HostGate(HOST, settings))

        async def note(outcome: str) -> None:
            try:
                await host.ask(outcome)
                ended.append(outcome)
            except Refused as refused:
                ended.append(refused.reason)

        for _ in range(3):
            await note("connect_failed")
        await note("ok")
        await asyncio.sleep(REST_S)
        await note("timeout")  # the one that tries again
        await note("ok")
        await asyncio.sleep(REST_S)
        await note("ok")
        await note("ok")
        return ended

    assert run_gate(run()) == [
        *["connect_failed"] * 3,
        "host_circuit_open",
        "timeout",
        "host_circuit_open",
        "ok",
        "ok",
    ]


def test_lets_rows_go_that_wait_for_a_host_when_it_dies() -> None:
    settings = FetchSettings(max_host_failures=2, host_concurrency=1)

    async def run() -> list[str]:
        host = Host(HostGate(HOST, settings))
        asked = [host.ask("timeout") for _ in range(2)] + [host.ask() for _ in range(20)]
        ended = await asyncio.gather(*asked, return_exceptions=True)
        return [one.reason if isinstance(one, Refused) else "asked" for one in ended]

    assert run_gate(run()) == ["asked"] * 2 + ["host_circuit_open"] * 20


def test_gives_a_turn_back_when_a_row_is_cancelled() -> None:
    async def run() -> int:
        host = Host(HostGate(HOST, FetchSettings(host_concurrency=1)), answer_s=1.0)
        tasks = [asyncio.create_task(host.ask()) for _ in range(5)]
        await asyncio.sleep(0.5)
        for task in tasks[:4]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await host.ask()
        return len(host.starts)

    assert run_gate(run()) == 3


def test_forgets_idle_hosts_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts_module, "MAX_GATES", 50)

    async def run() -> tuple[int, bool]:
        gates = HostGates(FetchSettings())
        busy = gates.gate("busy.example")
        async with held(busy):
            for number in range(1000):
                gates.gate(f"host{number}.example")
            return len(gates), gates.gate("busy.example") is busy

    size, kept = run_gate(run())

    assert size <= 51
    assert kept


@asynccontextmanager
async def held(gate: HostGate) -> AsyncIterator[None]:
    async with gate.turn(no_place):
        yield


@settings(max_examples=60)
@given(
    answers=st.lists(
        st.tuples(
            st.floats(0, 40),
            st.sampled_from(["ok", "http_5xx", "timeout", "dns_failure"]),
            st.none() | st.floats(0, 1000),
        ),
        max_size=25,
    ),
    host=st.sampled_from([HOST, "upload.wikimedia.org", "cdn.shopify.com"]),
    workers=st.integers(1, 4),
    crawl_delay_s=st.sampled_from([0.0, 0.5, 30.0]),
)
def test_keeps_places_and_delays_whatever_a_host_answers(
    answers: list[tuple[float, str, float | None]], host: str, workers: int, crawl_delay_s: float
) -> None:
    limits = FetchSettings(workers=workers, max_host_failures=5)
    share = share_of(host, limits)
    starts: list[float] = []
    at_once, most, ended = 0, 0, 0

    async def run() -> float:
        gate, loop = HostGate(host, limits), asyncio.get_running_loop()

        async def ask(answer_s: float, outcome: str, retry_after_s: float | None) -> None:
            nonlocal at_once, most, ended
            try:
                async with gate.turn(no_place, crawl_delay_s):
                    starts.append(loop.time())
                    at_once += 1
                    most = max(most, at_once)
                    await asyncio.sleep(answer_s)
                    at_once -= 1
                    gate.record(outcome, answer_s, retry_after_s)
            except Refused as refused:
                assert refused.reason in ("host_deferred", "host_circuit_open")
            ended += 1

        began = loop.time()
        await asyncio.gather(*(ask(*answer) for answer in answers))
        return loop.time() - began

    seconds = run_gate(run())

    assert ended == len(answers)
    assert most <= share.concurrency
    least_s = max(share.delay_s, crawl_delay_s * workers) - 0.01
    assert all(b - a >= least_s for a, b in zip(starts, starts[1:], strict=False))
    # A turn comes within the budget or never; those that wait for slots wait for answers as well.
    assert seconds <= limits.host_budget_s + 41 * (len(answers) + 1)
