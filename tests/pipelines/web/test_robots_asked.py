"""robots.txt is asked for before the picture, once, and what cannot be had is not fetched."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest
from yarl import URL

from pipelines.web import robots_cache as cache_module
from pipelines.web.addresses import AddressGuard
from pipelines.web.answers import Answer
from pipelines.web.client import Client, Fetched
from pipelines.web.fault_answers import ok
from pipelines.web.fault_exchange import Exchange, Fault
from pipelines.web.fault_waits import silence
from pipelines.web.faultserver import FaultServer, fault_server
from pipelines.web.robots import MAX_ROBOTS_BYTES
from pipelines.web.robots_cache import RobotsCache
from pipelines.web.settings import FetchSettings

from .asking import DEADLINE_S, Names, fetch, fetch_all, run_virtual

DISALLOW = b"User-agent: *\nDisallow: /ok\nAllow: /ok?allowed"


def settings_for(*servers: FaultServer) -> FetchSettings:
    guard = AddressGuard(("127.0.0.1/32",), tuple(server.port for server in servers))
    return FetchSettings(guard=guard, total_timeout_s=DEADLINE_S, retry_wait_s=0.01)


def answering(code: int, *headers: str) -> Mapping[str, Fault]:
    async def robots(exchange: Exchange) -> None:
        exchange.reply(f"{code} Told", b"User-agent: *\nDisallow: /", *headers)

    return {"/robots.txt": robots}


def test_obeys_a_disallow_before_the_picture_is_asked_for() -> None:
    with fault_server(pages={"/robots.txt": DISALLOW}) as server:
        refused, allowed = fetch(
            [server.url("/ok"), server.url("/ok?allowed=1")], settings_for(server)
        )

        assert refused == Fetched(
            "robots_disallow",
            url_final=server.url("/ok"),
            signal="robots.txt: Disallow: /ok",
            robots="disallowed",
        )
        assert (allowed.outcome, allowed.robots) == ("ok", "allowed")
        assert server.hits == {"/robots.txt": 1, "/ok": 1}


def test_asks_once_however_many_rows_wait() -> None:
    with fault_server(pages={"/robots.txt": b"User-agent: *\nDisallow: /no"}) as server:
        fetched = fetch([server.url("/ok")] * 40, settings_for(server))

        assert {one.outcome for one in fetched} == {"ok"}
        assert server.hits["/robots.txt"] == 1


def test_asks_every_origin_and_every_hop() -> None:
    with (
        fault_server(pages={"/robots.txt": DISALLOW}) as second,
        fault_server() as first,
    ):
        url = first.url(f"/redirect?to={second.url('/ok')}")
        (fetched,) = fetch([url], settings_for(first, second))

        assert fetched.outcome == "robots_disallow"
        assert fetched.url_final == second.url("/ok")
        assert first.hits == {"/robots.txt": 1, "/redirect": 1}
        assert second.hits == {"/robots.txt": 1}


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_takes_no_file_for_a_yes(code: int) -> None:
    with fault_server(routes=answering(code)) as server:
        (fetched,) = fetch([server.url("/ok")], settings_for(server))

        assert (fetched.outcome, fetched.robots) == ("ok", "none")


@pytest.mark.parametrize("code", [429, 500, 503, 304])
def test_fetches_nothing_of_a_host_whose_file_cannot_be_had(code: int) -> None:
    with fault_server(routes=answering(code, "Retry-After: 0")) as server:
        fetched = fetch([server.url("/ok")] * 5, settings_for(server))

        assert {(one.outcome, one.robots) for one in fetched} == {("robots_unreachable", None)}
        assert fetched[0].signal is not None
        assert fetched[0].signal.startswith("robots.txt: ")
        assert server.hits["/robots.txt"] <= 3  # once, and the attempts again
        assert not server.hits["/ok"]


def test_a_file_that_hangs_costs_its_host_alone() -> None:
    with fault_server(routes={"/robots.txt": silence}) as tarpit, fault_server() as quick:
        started = time.monotonic()
        fetched = fetch(
            [tarpit.url("/ok")] * 20 + [quick.url("/ok")] * 20,
            replace(settings_for(tarpit, quick), total_concurrency=4),
        )

        assert [one.outcome for one in fetched] == ["robots_unreachable"] * 20 + ["ok"] * 20
        assert fetched[0].signal == "robots.txt: timeout"
        assert time.monotonic() - started < DEADLINE_S + 1
        assert tarpit.hits == {"/robots.txt": 1}


@pytest.mark.parametrize(
    ("hops", "outcome"), [(5, "robots_disallow"), (6, "ok")], ids=["five", "six"]
)
def test_follows_five_redirects(hops: int, outcome: str) -> None:
    async def hop(exchange: Exchange) -> None:
        step = int(exchange.query.get("step", 0))
        if step == hops:
            exchange.reply("200 OK", DISALLOW)
        else:
            exchange.reply("302 Found", b"", f"Location: /robots.txt?step={step + 1}")

    with fault_server(routes={"/robots.txt": hop}) as server:
        (fetched,) = fetch([server.url("/ok")], settings_for(server))

        assert fetched.outcome == outcome


def test_reads_the_file_that_another_origin_led_to_for_that_one_as_well() -> None:
    with fault_server(pages={"/robots.txt": b"User-agent: *\nDisallow: /no"}) as second:

        async def moved(exchange: Exchange) -> None:
            exchange.reply("301 Moved", b"", f"Location: {second.url(exchange.path)}")

        with fault_server(routes={"/robots.txt": moved, "/ok": moved}) as first:
            (fetched,) = fetch([first.url("/ok")], settings_for(first, second))

            assert (fetched.outcome, fetched.url_final) == ("ok", second.url("/ok"))
            assert second.hits == {"/robots.txt": 1, "/ok": 1}


def test_does_not_follow_a_redirect_to_where_nothing_may_be_dialled() -> None:
    async def inside(exchange: Exchange) -> None:
        exchange.reply("302 Found", b"", f"Location: http://127.0.0.2:{server.port}/robots.txt")

    with fault_server(routes={"/robots.txt": inside}) as server:
        (fetched,) = fetch([server.url("/ok")], settings_for(server))

        assert (fetched.outcome, fetched.signal) == (
            "robots_unreachable",
            "robots.txt: ssrf_blocked",
        )


def test_reads_the_beginning_of_a_huge_file() -> None:
    huge = b"User-agent: *\nDisallow: /ok\n" + b"# filler\n" * (2**21 // 9)
    with fault_server(pages={"/robots.txt": huge}) as server:
        (fetched,) = fetch([server.url("/ok")], settings_for(server))

        assert len(huge) > MAX_ROBOTS_BYTES
        assert fetched.outcome == "robots_disallow"


def test_takes_a_page_for_no_file() -> None:
    page = b"<!DOCTYPE html><p>User-agent: *\nDisallow: /"
    with fault_server(pages={"/robots.txt": page}) as server:
        (fetched,) = fetch([server.url("/ok")], settings_for(server))

        assert (fetched.outcome, fetched.robots) == ("ok", "none")


def test_honours_preferences_against_training() -> None:
    rules = b"User-agent: *\nAllow: /\nContent-Usage: / train-ai=n"
    with fault_server(pages={"/robots.txt": rules}) as server:
        (fetched,) = fetch([server.url("/ok")], settings_for(server))

        assert (fetched.outcome, fetched.signal) == (
            "robots_disallow",
            "robots.txt: Content-Usage",
        )


def test_obeys_a_crawl_delay() -> None:
    starts: list[float] = []

    async def noting(exchange: Exchange) -> None:
        starts.append(asyncio.get_running_loop().time())
        await ok(exchange)

    async def run() -> list[Fetched]:
        server = FaultServer(
            {"/robots.txt": b"User-agent: *\nCrawl-delay: 40"}, routes={"/a": noting}
        )
        listening = await server.start("127.0.0.1")
        async with Client(settings_for(server), Names(("127.0.0.1",))) as client:
            fetched = await fetch_all(client, [server.url("/a", "slow.example")] * 3)
        listening.close()
        return fetched

    assert {one.outcome for one in run_virtual(run())} == {"ok"}
    assert [after - before for before, after in zip(starts, starts[1:], strict=False)] == (
        pytest.approx([40.0, 40.0], abs=0.5)
    )


def test_forgets_the_origins_and_rules_that_were_used_longest_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache_module, "MAX_ORIGINS", 3)
    monkeypatch.setattr(cache_module, "MAX_LINES", 10)
    asked: list[str] = []

    async def ask(url: URL) -> Answer:
        asked.append(str(url))
        long = b"User-agent: *\n" + b"Disallow: /x\n" * (9 if "long" in str(url) else 1)
        return Answer("ok", url, 200, long)

    async def run(hosts: list[str]) -> int:
        asked.clear()
        cache = RobotsCache(ask, 300.0)
        for host in hosts:
            await cache.robots(URL(f"http://{host}/a.jpg"))
        return len(asked)

    assert asyncio.run(run(["a", "b", "c", "a", "b", "c"])) == 3
    assert asyncio.run(run(["a", "b", "c", "d", "a"])) == 5
    assert asyncio.run(run(["a", "long", "a"])) == 2
    assert asyncio.run(run(["a", "b", "long", "a"])) == 4


def test_asks_again_after_a_day_and_sooner_after_a_failure() -> None:
    asked: list[str] = []

    async def ask(url: URL) -> Answer:
        asked.append(str(url))
        return Answer("http_5xx" if "down" in str(url) else "http_404", url, 500)

    async def run() -> list[str]:
        cache = RobotsCache(ask, 300.0)
        for wait_s in (0.0, 290.0, 20.0, 24 * 3600.0):
            await asyncio.sleep(wait_s)
            await cache.robots(URL("http://up/a.jpg"))
            await cache.robots(URL("http://down/a.jpg"))
        return asked

    asked_for = run_virtual(run())

    assert asked_for.count("http://up/robots.txt") == 2
    assert asked_for.count("http://down/robots.txt") == 3
