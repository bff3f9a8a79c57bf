"""What a robots.txt says to us."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.fetching.refused import Refused
from pipelines.web.robots import MAX_ROBOTS_BYTES, Robots, our_group, read_robots


def read(*lines: str) -> Robots:
    return read_robots("\n".join(lines).encode(), 300.0)


def refusal(robots: Robots, path: str) -> str | None:
    """The signal that refuses a path, or None."""
    try:
        robots.refuse(f"https://example.org{path}")
    except Refused as refused:
        assert refused.reason == "robots_disallow"
        return refused.signal
    return None


@pytest.mark.parametrize(
    ("lines", "allowed", "disallowed"),
    [
        pytest.param(["User-agent: *", "Disallow: /a"], "/b", "/a/x.jpg", id="prefix"),
        pytest.param(
            ["User-agent: *", "Disallow: /", "Allow: /open/"], "/open/x", "/x", id="longest wins"
        ),
        pytest.param(
            ["User-agent: *", "Allow: /", "Disallow: /*.gif$"], "/a.gif?x", "/a.gif", id="wildcard"
        ),
        pytest.param(
            ["User-agent: pairmill", "Disallow: /a", "User-agent: *", "Disallow: /"],
            "/b",
            "/a",
            id="our group goes before everybody's",
        ),
        pytest.param(
            ["User-agent: PairMill/2.0", "Disallow: /a"], "/b", "/a", id="case and version"
        ),
        pytest.param(
            ["User-agent: other", "User-agent: pairmill", "Disallow: /a"],
            "/b",
            "/a",
            id="two names of one group",
        ),
        pytest.param(
            ["User-agent: pairmill", "Disallow: /a", "User-agent: pairmill", "Disallow: /b"],
            "/c",
            "/a",
            id="two groups of one name",
        ),
        pytest.param(
            ["User-agent: *", "", "# all", "Disallow: /a # here"], "/b", "/a", id="blanks, comments"
        ),
        pytest.param(
            ["user-agent:*", "Sitemap: https://x/s", "disallow:/a"], "/b", "/a", id="sloppy"
        ),
        pytest.param(["User-agent *", "Disallow: /a"], "/b", "/a", id="no colon"),
        pytest.param(["\ufeffUser-agent: *", "Disallow: /a"], "/b", "/a", id="byte order mark"),
        pytest.param(["User-agent: *", "Disallow: /ä"], "/a", "/%C3%A4", id="percent-encoded"),
        pytest.param(["User-agent: *\r", "Disallow: /a\r"], "/b", "/a", id="CR LF"),
    ],
)
def test_reads_rules(lines: list[str], allowed: str, disallowed: str) -> None:
    robots = read(*lines)

    assert robots.state == "allowed"
    assert refusal(robots, allowed) is None
    assert refusal(robots, disallowed) is not None


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="empty"),
        pytest.param(["User-agent: *", "Disallow:"], id="nothing is disallowed"),
        pytest.param(["Disallow: /"], id="rules of no group"),
        pytest.param(["User-agent: otherbot", "Disallow: /"], id="another's group"),
        pytest.param(["User-agent: pair", "Disallow: /"], id="a part of our name"),
        pytest.param(["User-agent: pairmillbot", "Disallow: /"], id="a name that ours is part of"),
        pytest.param(
            ["User-agent: pairmill", "Allow: /", "User-agent: *", "Disallow: /"],
            id="everybody else is disallowed",
        ),
        pytest.param(["<html>", "User-agent: *", "Disallow: /"], id="a page"),
    ],
)
def test_finds_no_rule_for_us(lines: list[str]) -> None:
    assert refusal(read(*lines), "/a.jpg") is None


def test_takes_a_page_for_no_robots_file() -> None:
    assert read("<!DOCTYPE html><title>404</title>").state == "none"
    assert read("User-agent: otherbot", "Disallow: /").state == "allowed"


def test_names_the_rule_that_decided() -> None:
    robots = read("User-agent: *", "Disallow: /p", "Disallow: /private/*.jpg", "Disallow: /q")

    assert refusal(robots, "/private/a.jpg") == "robots.txt: Disallow: /private/*.jpg"
    assert refusal(robots, "/public") == "robots.txt: Disallow: /p"


@pytest.mark.parametrize(
    ("value", "seconds"), [("5", 5.0), ("0.5", 0.5), ("4000", 300.0), ("soon", 0.0), ("-1", 0.0)]
)
def test_reads_a_crawl_delay_of_five_minutes_at_most(value: str, seconds: float) -> None:
    assert read("User-agent: *", f"Crawl-delay: {value}").crawl_delay_s == seconds


def test_keeps_paths_from_training_by_the_longest_match() -> None:
    robots = read(
        "User-agent: *",
        "Allow: /",
        "Content-Usage: / train-ai=n",
        "Content-Usage: /ai-ok/ train-ai=y",
        "Content-Usage: /ai-ok/not/ search=y, train-ai=n",
    )

    assert refusal(robots, "/test") == "robots.txt: Content-Usage"
    assert refusal(robots, "/ai-ok/test") is None
    assert refusal(robots, "/ai-ok/not/test") == "robots.txt: Content-Usage"


@pytest.mark.parametrize(
    ("lines", "reserved"),
    [
        pytest.param(["Content-Usage: train-ai=n"], True, id="without a path, as drafts had it"),
        pytest.param(["content-usage :\t/\ttrain-ai=n"], True, id="tabs"),
        pytest.param(["Content-Usage: / search=n"], False, id="another use"),
        pytest.param(["Content-Usage: / train-ai=y"], False, id="allowed"),
        pytest.param(
            ["Content-Usage: / train-ai=n", "Content-Usage: / train-ai=y"], True, id="the stricter"
        ),
        pytest.param(["User-agent: other", "Content-Usage: / train-ai=n"], False, id="another's"),
    ],
)
def test_reads_usage_lines_of_our_group(lines: list[str], reserved: bool) -> None:
    robots = read("User-agent: *", "Allow: /", *lines)

    assert (refusal(robots, "/a.jpg") is not None) == reserved


def test_leaves_aside_what_stands_behind_500_kib() -> None:
    filler = "# " + "x" * 98 + "\n"
    text = "User-agent: *\nDisallow: /near\n" + filler * (2 * 2**20 // 100) + "Disallow: /far\n"

    robots = read_robots(text.encode(), 300.0)

    assert len(text) > 2 * 2**20 > MAX_ROBOTS_BYTES
    assert refusal(robots, "/near") is not None
    assert refusal(robots, "/far") is None


HALF = MAX_ROBOTS_BYTES // 2


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "User-agent: *\n" + "".join(f"Disallow: /*{n}*a*b$\n" for n in range(HALF // 12)),
            id="wildcards",
        ),
        pytest.param("User-agent: *\nDisallow: /" + "*a" * HALF, id="one long wildcard"),
        pytest.param("User-agent: *\na" + " " * HALF + "b", id="blanks"),
        pytest.param("User-agent: *\n" * (HALF // 14) + "Allow: /\n" * (HALF // 9), id="names"),
        pytest.param("User-agent: a\n" * (HALF // 14) + "Allow: /\n" * (HALF // 9), id="others"),
        pytest.param("User-agent: *\nContent-Usage: / " + "a;" * HALF, id="parameters"),
        pytest.param("User-agent: *\n" + "Content-Usage: / a=n\n" * (HALF // 10), id="usage"),
        pytest.param("\n" * MAX_ROBOTS_BYTES, id="empty lines"),
    ],
)
def test_reads_the_longest_file_in_seconds(text: str) -> None:
    started = time.process_time()

    robots = read_robots(text.encode(), 300.0)
    read_s = time.process_time() - started
    refusal(robots, "/" + "ab" * 2000)

    assert read_s < 5
    assert time.process_time() - started - read_s < 1


@given(st.text(st.sampled_from("useragntdilow-:*/ \n\r#\ufeff<pmk"), max_size=200))
def test_takes_any_text(text: str) -> None:
    robots = read_robots(text.encode(), 300.0)

    assert isinstance(our_group(text.splitlines()), list)
    refusal(robots, "/a.jpg")


@given(st.binary(max_size=200))
def test_takes_any_bytes(body: bytes) -> None:
    refusal(read_robots(body, 300.0), "/a.jpg")
