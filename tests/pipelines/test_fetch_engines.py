"""One table through both engines: the same pairs, byte for byte."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest

from pipelines.decoding.picture import StoredImage
from pipelines.fetch import fetch_rows
from pipelines.fetching.session import FetchSession
from pipelines.inputs.source import Row
from pipelines.sources import make_rows_table
from pipelines.web.addresses import AddressGuard
from pipelines.web.faults import PATHS
from pipelines.web.faultserver import FaultServer, fault_server, picture
from pipelines.web.settings import FetchSettings


def draw(seed: int, width: int, height: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (height // 20, width // 20, 3), np.uint8)
    return bytes(cv2.imencode(".png", cv2.resize(noise, (width, height)))[1])


def draw_16_bit_grey() -> bytes:
    """What img2dataset's own decoder makes white: a ramp of sixteen bits."""
    ramp = np.linspace(0, 65535, 300, dtype=np.uint16)
    return bytes(cv2.imencode(".png", np.tile(ramp, (200, 1)))[1])


PAGES = {
    **{f"/{seed}.png": draw(seed, 400 + 20 * seed, 320) for seed in range(6)},
    "/grey.png": draw_16_bit_grey(),
    "/photo.jpeg": bytes(cv2.imencode(".jpeg", np.zeros((9, 9, 3), np.uint8))[1]),
    "/half.png": draw(9, 200, 200)[:500],
    "/blocked.png": draw(10, 200, 200),
}


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with fault_server(pages=PAGES) as running:
        yield running


@pytest.fixture
def settings(server: FaultServer, tmp_path: Path) -> FetchSettings:
    blocked = tmp_path / "blocked.txt"
    blocked.write_text(hashlib.sha256(PAGES["/blocked.png"]).hexdigest() + "\n")
    return FetchSettings(
        guard=AddressGuard(("127.0.0.1/32",), (80, server.port)),
        total_timeout_s=2.0,
        retry_wait_s=0.01,
        max_body_bytes=2**20,
        blocklists=(str(blocked),),
    )


def fetch(rows: pa.Table, settings: FetchSettings, engine: str) -> tuple[pa.Table, int]:
    """The pairs, and how many rows were told of as ended."""
    ended: list[int] = []
    with FetchSession(settings, StoredImage(side_px=96), engine) as session:
        return fetch_rows(rows, session, ended.append), sum(ended)


def make_rows(server: FaultServer) -> list[Row]:
    good = f"sha256:{hashlib.sha256(picture()).hexdigest()}"
    return [
        *(Row(server.url(path), f"of {path}") for path in (*PAGES, *PATHS)),
        Row(server.url("/ok"), "with its hash", None, good),
        Row(server.url("/ok"), "with another hash", None, "sha256:none"),
        Row(server.url("/ok"), " "),
        Row(None, "without a url"),
        Row("http://169.254.169.254/latest/meta-data", "inside"),
        Row("http://[::1]/", "inside, too"),
        Row("file:///etc/passwd", "a file"),
    ]


def test_both_engines_give_the_same_pairs(server: FaultServer, settings: FetchSettings) -> None:
    rows = make_rows_table(make_rows(server), source=0, start=0)

    ours, ours_ended = fetch(rows, settings, "pairmill")
    theirs, theirs_ended = fetch(rows, settings, "img2dataset")

    assert theirs.to_pylist() == ours.to_pylist()
    assert theirs_ended == ours_ended == len(rows)
    assert set(ours["outcome"].to_pylist()) >= {
        *("ok", "http_404", "timeout", "bad_url", "ssrf_blocked", "caption_empty", "optout_header"),
        *("hash_mismatch", "blocklist_hit", "decode_error", "not_an_image", "scheme_not_allowed"),
    }


def test_sixteen_bits_are_not_white_through_img2dataset(
    server: FaultServer, settings: FetchSettings
) -> None:
    rows = make_rows_table([Row(server.url("/grey.png"), "a ramp")], 0, 0)

    [pair] = fetch(rows, settings, "img2dataset")[0].to_pylist()

    pixels = cv2.imdecode(np.frombuffer(pair["image"], np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels.shape == (96, 144, 3)
    assert pixels[:, :10].mean() < 16 and pixels[:, -10:].mean() > 239
