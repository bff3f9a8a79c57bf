from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from pipelines.fetching.refused import Refused
from pipelines.web.optout import MAX_SIGNAL_CHARS, refuse_optout, robots_tag

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def signal(*headers: tuple[str, str]) -> str | None:
    """What decides against us among response headers, or None."""
    try:
        refuse_optout(CIMultiDictProxy(CIMultiDict(headers)), NOW)
    except Refused as refused:
        assert refused.reason == "optout_header"
        return refused.signal
    return None


@pytest.mark.parametrize(
    ("header", "directive"),
    [
        ("noai", "noai"),
        ("NoAI", "noai"),
        (" noimageai ", "noimageai"),
        ("noindex", "noindex"),
        ("noimageindex", "noimageindex"),
        ("noml", "noml"),
        ("none", "none"),
        ("max-image-preview:large, noai", "noai"),
        ("max-video-preview: -1, noai", "noai"),
        ("noai, unavailable_after: 25 Jun 2030 15:00:00 PST", "noai"),
        ("unavailable_after: 25 Jun 2030 15:00:00 PST, noai", "noai"),
        ("unavailable_after: Tue, 25 Jun 2030 15:00:00 GMT, noai", "noai"),
        ("nofollow, noindex", "noindex"),
        ("pairmill: noai", "noai"),
        ("PairMill: noai", "noai"),
        ("otherbot: nofollow, pairmill: noai", "noai"),
        ("*: noai", "noai"),
        ("unavailable_after: 25 Jun 2020 15:00:00 PST", "unavailable_after: 25 jun 2020"),
        ("unavailable_after: Thu, 25 Jun 2020 15:00:00 GMT", "unavailable_after: thu, 25 jun"),
        ("unavailable_after: Thursday, 25-Jun-20 15:00:00 GMT", "unavailable_after: thursday"),
        ("unavailable_after: 2020-06-25", "unavailable_after: 2020-06-25"),
        ("pairmill: unavailable_after: 2020-06-25T15:00:00", "unavailable_after: 2020-06-25t15"),
    ],
)
def test_honours(header: str, directive: str) -> None:
    decided = robots_tag([header], NOW)

    assert decided is not None
    assert decided.startswith(directive)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "all",
        "nofollow",
        "max-image-preview:none",
        "otherbot: noai",
        "otherbot: nofollow, noai",
        "img2dataset: noai",
        "unavailable_after: 25 Jun 2030 15:00:00 PST",
        "unavailable_after: some day",
        "unavailable_after",
        "otherbot: unavailable_after: 2020-06-25",
    ],
)
def test_leaves_aside(header: str) -> None:
    assert robots_tag([header], NOW) is None


def test_reads_every_header_line() -> None:
    assert robots_tag(["otherbot: noai", "noml"], NOW) == "noml"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("x-robots-tag", "noai")], "X-Robots-Tag: noai"),
        ([("X-Robots-Tag", "all"), ("X-ROBOTS-TAG", "noml")], "X-Robots-Tag: noml"),
        ([("tdm-reservation", "1")], "TDM-Reservation: 1"),
        ([("TDM-Reservation", " 1 "), ("tdm-policy", "https://x/p")], "TDM-Reservation: 1"),
        ([("tdm-reservation", "0")], None),
        ([("Content-Usage", "train-ai=n")], "Content-Usage: train-ai=n"),
        ([("Content-Usage", "search=y"), ("content-usage", "train-ai=n")], "Content-Usage: train"),
        ([("Content-Usage", "search=n")], None),
        ([("Content-Type", "image/png")], None),
    ],
)
def test_names_the_header_that_decides(
    headers: list[tuple[str, str]], expected: str | None
) -> None:
    found = signal(*headers)

    assert found == expected or (expected is not None and str(found).startswith(expected))


def test_stores_a_bounded_signal() -> None:
    long = signal(("X-Robots-Tag", f"unavailable_after: 25 Jun 2020 15:00:00 GMT ({'x' * 500})"))

    assert long is not None
    assert len(long) == MAX_SIGNAL_CHARS


@given(st.text(max_size=80))
def test_takes_any_header_for_what_it_is(header: str) -> None:
    robots_tag([header], NOW)
