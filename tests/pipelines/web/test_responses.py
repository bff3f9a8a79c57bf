from datetime import UTC, datetime

import pytest

from pipelines.fetching.refused import Refused
from pipelines.web.responses import refuse_encoding, refuse_status, retry_after_s

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param("0", 0, id="now"),
        pytest.param(" 120 ", 120, id="seconds"),
        pytest.param("315360000", 315_360_000, id="ten years"),
        pytest.param("9" * 400, float("inf"), id="beyond any number"),
        pytest.param("Thu, 01 Jan 2026 12:00:30 GMT", 30, id="date"),
        pytest.param("Thu, 01 Jan 2026 12:00:30 -0000", 30, id="date without a zone"),
        pytest.param("Thu, 01 Jan 2026 11:00:00 GMT", 0, id="date gone by"),
    ],
)
def test_reads_retry_after(header: str, seconds: float) -> None:
    assert retry_after_s(header, NOON) == seconds


@pytest.mark.parametrize("header", [None, "", "soon", "-1", "1.5", "²", "Thu, 99 Foo 2026"])
def test_leaves_a_retry_after_that_says_nothing(header: str | None) -> None:
    assert retry_after_s(header, NOON) is None


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (300, "bad_http"),
        (304, "bad_http"),
        (400, "http_4xx"),
        (403, "http_4xx"),
        (404, "http_404"),
        (408, "http_4xx"),
        (410, "http_410"),
        (429, "http_429"),
        (451, "http_4xx"),
        (500, "http_5xx"),
        (599, "http_5xx"),
        (600, "bad_http"),
        (999, "bad_http"),
    ],
)
def test_names_a_status(status: int, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        refuse_status(status)
    assert caught.value.reason == reason


@pytest.mark.parametrize("status", [200, 203, 299])
def test_takes_a_status(status: int) -> None:
    refuse_status(status)


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "gzip, gzip", "x"])
def test_refuses_an_encoding(encoding: str) -> None:
    with pytest.raises(Refused):
        refuse_encoding(encoding)


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_takes_no_encoding(encoding: str) -> None:
    refuse_encoding(encoding)
