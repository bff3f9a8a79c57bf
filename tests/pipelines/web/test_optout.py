import pytest

from pipelines.web.optout import opts_out


@pytest.mark.parametrize(
    "header",
    [
        "noai",
        "NoAI",
        " noimageai ",
        "noindex",
        "noimageindex",
        "noml",
        "none",
        "max-image-preview:large, noai",
        "noai, unavailable_after: 25 Jun 2030 15:00:00 PST",
        "unavailable_after: 25 Jun 2030 15:00:00 PST, noai",
        "nofollow, noindex",
        "pairmill: noai",
        "PairMill: noai",
        "otherbot: nofollow, pairmill: noai",
        "*: noai",
    ],
)
def test_honours(header: str) -> None:
    assert opts_out([header])


@pytest.mark.parametrize(
    "header",
    ["", "all", "nofollow", "max-image-preview:none", "otherbot: noai", "otherbot: nofollow, noai"],
)
def test_leaves_aside(header: str) -> None:
    assert not opts_out([header])


def test_reads_every_header() -> None:
    assert opts_out(["nofollow", "noai"])
