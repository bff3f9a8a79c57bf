import pytest

from pipelines.web.rates import find_rate, known_rates, share_of
from pipelines.web.settings import FetchSettings


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("upload.wikimedia.org", "upload.wikimedia.org"),
        ("live.staticflickr.com", ".staticflickr.com"),
        ("farm1.staticflickr.com", ".staticflickr.com"),
        ("a.b.cloudfront.net", ".cloudfront.net"),
        ("i0.wp.com", ".wp.com"),
        ("ia800100.us.archive.org", ".archive.org"),
    ],
)
def test_finds_a_host_or_the_name_above_it(host: str, name: str) -> None:
    rate = find_rate(host)

    assert rate is not None
    assert rate is known_rates()[name]


@pytest.mark.parametrize(
    "host", ["en.wikimedia.org", "staticflickr.com", "notwp.com", "org", "", "127.0.0.1"]
)
def test_knows_nothing_of_other_hosts(host: str) -> None:
    assert find_rate(host) is None


def test_gives_every_rate_its_source() -> None:
    for rate in known_rates().values():
        assert rate.source.startswith("https://") or rate.source == "our own choice"


def test_keeps_to_what_wikimedia_asks_for() -> None:
    share = share_of("upload.wikimedia.org", FetchSettings())

    assert share.concurrency == 2
    assert share.delay_s >= 500_000 * 8 / 25e6  # 25 Mbps at 500 KB a picture


@pytest.mark.parametrize("workers", [1, 2, 7, 64])
def test_divides_a_hosts_rate_among_workers(workers: int) -> None:
    for host in ("unknown.example", "upload.wikimedia.org", "cdn.shopify.com"):
        alone = share_of(host, FetchSettings())
        share = share_of(host, FetchSettings(workers=workers))

        assert share.delay_s == pytest.approx(alone.delay_s * workers)
        assert share.concurrency == max(1, alone.concurrency // workers)
