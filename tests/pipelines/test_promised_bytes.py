"""Digests: bytes that are not those a list promised, and bytes that nobody may keep."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.fetch import fetch_rows
from pipelines.fetch_session import FetchSession
from pipelines.imaging import StoredImage
from pipelines.source import Row
from pipelines.sources import make_rows_table
from pipelines.web.addresses import AddressGuard
from pipelines.web.faultserver import FaultServer, fault_server, picture
from pipelines.web.settings import FetchSettings

CURATED, SWAPPED = picture(1), picture(2)
DIGESTS = [
    f"sha256:{hashlib.sha256(CURATED).hexdigest()}",
    f"md5:{hashlib.md5(CURATED).hexdigest()}",
]
CANARY = "canary7f3a"


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with fault_server(
        pages={"/same": CURATED, "/swapped": SWAPPED, f"/{CANARY}": SWAPPED}
    ) as server:
        yield server


@pytest.fixture
def settings(server: FaultServer) -> FetchSettings:
    return FetchSettings(guard=AddressGuard(("127.0.0.1/32",), (server.port,)), max_retries=0)


def fetch(rows: list[Row], settings: FetchSettings) -> list[dict[str, Any]]:
    with FetchSession(settings, StoredImage(), "pairmill") as session:
        return fetch_rows(make_rows_table(rows, 0, 0), session, lambda rows: None).to_pylist()


@pytest.mark.parametrize(
    ("mode", "same", "swapped"),
    [
        ("require", ("ok", True), ("hash_mismatch", None)),
        ("record", ("ok", True), ("ok", False)),
        ("off", ("ok", None), ("ok", None)),
    ],
)
def test_a_picture_that_was_swapped_since_it_was_listed(
    server: FaultServer,
    settings: FetchSettings,
    mode: str,
    same: tuple[str, bool | None],
    swapped: tuple[str, bool | None],
) -> None:
    rows = [
        Row(server.url(path), "a caption", None, digest)
        for digest in DIGESTS
        for path in ("/same", "/swapped")
    ]

    pairs = fetch(rows, replace(settings, verify_hash=mode))

    assert [(pair["outcome"], pair["hash_matches"]) for pair in pairs] == [same, swapped] * 2
    for pair in pairs:
        assert (pair["image"] is not None) == (pair["outcome"] == "ok")


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_nothing_stays_of_a_blocked_picture(
    server: FaultServer,
    settings: FetchSettings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    algorithm: str,
) -> None:
    listed = tmp_path / "block.txt"
    listed.write_text(hashlib.new(algorithm, SWAPPED).hexdigest())
    row = Row(server.url(f"/{CANARY}"), f"{CANARY} in words", f"{CANARY} licence")

    with caplog.at_level(logging.DEBUG):
        (pair,) = fetch([row], replace(settings, blocklists=(str(listed),)))

    assert pair["outcome"] == "blocklist_hit"
    assert CANARY not in repr(pair) + caplog.text
    kept = {name for name, value in pair.items() if value not in (None, "")}
    assert kept <= {"source", "row", "pair_id", "outcome", "http_status", "robots", "signal"}
