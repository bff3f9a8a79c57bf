"""Digests: bytes that are not those a list promised, and bytes that nobody may keep."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipelines.decoding.picture import DecodeLimits, StoredImage
from pipelines.fetch import fetch_rows
from pipelines.fetching.session import FetchSession
from pipelines.imaging import make_picture
from pipelines.inputs.source import Row
from pipelines.sources import make_rows_table
from pipelines.web.addresses import AddressGuard
from pipelines.web.client import Fetched
from pipelines.web.faultserver import FaultServer, fault_server, picture
from pipelines.web.look_alikes import hash_picture
from pipelines.web.settings import FetchSettings
from tokens.pixels import read_stored

CURATED, SWAPPED = picture(1), picture(2)
DIGESTS = [
    f"sha256:{hashlib.sha256(CURATED).hexdigest()}",
    f"md5:{hashlib.md5(CURATED).hexdigest()}",
]
CANARY = "canary7f3a"


def draw_blots() -> bytes:
    """A PNG with features, which a perceptual hash can tell from others."""
    coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    return cv2.imencode(".png", cv2.resize(coarse, (400, 300)))[1].tobytes()


BLOTS = draw_blots()
needs_pdqhash = pytest.mark.skipif(not find_spec("pdqhash"), reason="an extra")
PDQ = pytest.param("pdq", marks=needs_pdqhash, id="pdq")


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with fault_server(pages={"/same": CURATED, "/swapped": SWAPPED, f"/{CANARY}": BLOTS}) as server:
        yield server


@pytest.fixture
def settings(server: FaultServer) -> FetchSettings:
    return FetchSettings(guard=AddressGuard(("127.0.0.1/32",), (server.port,)), max_retries=0)


def fetch(
    rows: list[Row], settings: FetchSettings, engine: str = "pairmill"
) -> list[dict[str, Any]]:
    with FetchSession(settings, StoredImage(), engine) as session:
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


def listed_line(kind: str) -> str:
    """A blocklist's line that means BLOTS; by a perceptual hash, it means a copy of it."""
    if kind in ("sha256", "md5"):
        return hashlib.new(kind, BLOTS).hexdigest()
    copy = read_stored(make_picture(BLOTS, DecodeLimits(), StoredImage(128)).image)
    return f"{kind}:{hash_picture(copy, {kind})[kind].hex()}"


@pytest.mark.parametrize("engine", ["pairmill", "img2dataset"])
@pytest.mark.parametrize("kind", ["sha256", "md5", "phash", PDQ])
def test_nothing_stays_of_a_blocked_picture(
    server: FaultServer,
    settings: FetchSettings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    engine: str,
) -> None:
    listed = tmp_path / "block.txt"
    listed.write_text(listed_line(kind))
    row = Row(server.url(f"/{CANARY}"), f"{CANARY} in words", f"{CANARY} licence")

    with caplog.at_level(logging.DEBUG):
        (pair,) = fetch([row], replace(settings, blocklists=(str(listed),)), engine)

    assert pair["outcome"] == "blocklist_hit"
    assert CANARY not in repr(pair) + caplog.text
    kept = {name for name, value in pair.items() if value not in (None, "")}
    assert kept <= {"source", "row", "pair_id", "outcome", "http_status", "robots", "signal"}


@pytest.mark.parametrize("kind", ["sha256", "phash", PDQ])
def test_nor_of_one_that_another_program_has_fetched(
    settings: FetchSettings, tmp_path: Path, kind: str
) -> None:
    listed = tmp_path / "block.txt"
    listed.write_text(listed_line(kind))
    blocking = replace(settings, blocklists=(str(listed),))

    with FetchSession(blocking, StoredImage(), "pairmill") as session:
        blocked = session.describe_stored("http://h.example/", Fetched("ok", BLOTS))
        other = session.describe_stored("http://h.example/", Fetched("ok", CURATED))

    assert (blocked["outcome"], blocked.get("image")) == ("blocklist_hit", None)
    assert other["outcome"] == "ok"
