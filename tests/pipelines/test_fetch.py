import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from PIL import Image

from pipelines.decoding.picture import StoredImage
from pipelines.fetch import fetch_rows
from pipelines.fetching.refused import ContactRequired
from pipelines.fetching.session import FetchSession, Wanted
from pipelines.imaging import pixel_hash
from pipelines.ledger import FETCH_OUTCOMES
from pipelines.pairs import PAIRS_SCHEMA, make_pair_id
from pipelines.sources import ROWS_SCHEMA, make_rows_table
from pipelines.web.addresses import AddressGuard
from pipelines.web.faultserver import FaultServer, fault_server
from pipelines.web.settings import FetchSettings

STORED = StoredImage()
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with fault_server(pages={"/noise.png": png(), "/half.png": png()[:500]}) as server:
        yield server


@pytest.fixture
def settings(server: FaultServer) -> FetchSettings:
    guard = AddressGuard(("127.0.0.1/32",), (server.port,))
    return FetchSettings(guard=guard, total_timeout_s=5, retry_wait_s=0.01)


def fetch_table(
    rows: pa.Table,
    settings: FetchSettings,
    image: StoredImage = STORED,
    on_done: Callable[[int], None] = lambda rows: None,
) -> pa.Table:
    with FetchSession(settings, image, "pairmill") as session:
        return fetch_rows(rows, session, on_done)


def fetch(
    rows: pa.Table, settings: FetchSettings, image: StoredImage = STORED
) -> list[dict[str, object]]:
    pairs = fetch_table(rows, settings, image)
    assert pairs.schema == PAIRS_SCHEMA
    pairs.validate(full=True)
    assert set(pairs["outcome"].to_pylist()) <= set(FETCH_OUTCOMES)
    return pairs.to_pylist()


def test_fills_every_column_of_a_picture(server: FaultServer, settings: FetchSettings) -> None:
    url = server.url("/redirect?to=/noise.png")
    rows = make_rows_table([(url, "Noise", "CC0")], source=3, start=7)

    (pair,) = fetch(rows, settings, StoredImage(side_px=20, image_format="png"))

    with Image.open(io.BytesIO(pair.pop("image"))) as image:
        assert (image.format, image.size) == ("PNG", (30, 20))
    assert pair == {
        "source": 3,
        "row": 7,
        "pair_id": xxhash.xxh3_128_digest(url.encode() + b"\0Noise"),
        "url": url,
        "caption": "Noise",
        "license": "CC0",
        "outcome": "ok",
        "width": 30,
        "height": 20,
        "original_width": 60,
        "original_height": 40,
        "body_bytes": len(png()),
        "jpeg_quality": None,
        "transparency_ratio": 0.0,
        "animated": False,
        "pixel_hash": pixel_hash(PIXELS),
        "sha256": hashlib.sha256(png()).digest(),
        "url_final": server.url("/noise.png"),
        "content_type": None,
        "http_status": 200,
        "robots": "none",
        "signal": None,
        "hash_matches": None,
    }


def test_gives_every_row_one_outcome_in_its_place(
    server: FaultServer, settings: FetchSettings
) -> None:
    asked = [
        (server.url("/noise.png"), "a picture", "ok"),
        (server.url("/half.png"), "half a picture", "decode_error"),
        (server.url("/page"), "a page", "not_an_image"),
        (server.url("/missing"), "gone", "http_404"),
        (server.url("/ok"), "another", "ok"),
        ("http://10.0.0.1:1/", "wrong port", "port_not_allowed"),
        ("file:///etc/hostname", "a file", "scheme_not_allowed"),
        ("", "no url", "bad_url"),
        (None, "no url at all", "bad_url"),
        (server.url("/ok"), "", "caption_empty"),
        (server.url("/ok"), " \t", "caption_empty"),
        (server.url("/ok"), None, "caption_empty"),
        (server.url("/ok"), b"caf\xe9", "caption_invalid_utf8"),
        (server.url("/opted_out"), "left alone", "optout_header"),
    ]
    rows = make_rows_table([(url, caption, None) for url, caption, _ in asked], 0, 100)

    pairs = fetch(rows, settings)

    assert [pair["outcome"] for pair in pairs] == [outcome for _, _, outcome in asked]
    assert [pair["row"] for pair in pairs] == list(range(100, 100 + len(asked)))
    for pair in pairs:
        assert (pair["image"] is not None) == (pair["outcome"] == "ok")
        assert pair["pair_id"] == make_pair_id(pair["url"], pair["caption"])


def test_asks_nobody_for_a_row_without_a_caption(
    server: FaultServer, settings: FetchSettings
) -> None:
    before = server.hits.total()

    fetch(make_rows_table([(server.url("/ok"), "  ", None)], 0, 0), settings)

    assert server.hits.total() == before


def test_tells_of_every_row_that_ended(server: FaultServer, settings: FetchSettings) -> None:
    rows = make_rows_table([(server.url("/ok"), "a", None), (None, "b", None)], 0, 0)
    told: list[int] = []

    fetch_table(rows, settings, STORED, told.append)

    assert sum(told) == 2


def test_gives_equal_tables_twice(server: FaultServer, settings: FetchSettings) -> None:
    urls = [server.url(path) for path in ("/noise.png", "/ok", "/missing", "/empty")] * 10
    rows = make_rows_table([(url, "same", None) for url in urls], 0, 0)

    once, twice = (fetch_table(rows, settings) for _ in range(2))

    assert once.equals(twice)


def test_takes_no_rows(settings: FetchSettings) -> None:
    assert fetch(ROWS_SCHEMA.empty_table(), settings) == []


@pytest.mark.timeout(30)
def test_what_comes_after_the_end_is_refused_and_does_not_wait(settings: FetchSettings) -> None:
    with FetchSession(settings, STORED, "pairmill") as session:
        pass

    with pytest.raises(RuntimeError, match="the session has ended"):
        session.bring([Wanted("http://127.0.0.1/a.png")], lambda _place, _found: None)


def test_stops_before_it_connects_where_nobody_can_be_written_to(
    server: FaultServer, settings: FetchSettings
) -> None:
    guard = replace(settings.guard, allow_ports=(80, server.port))
    rows = make_rows_table([("http://8.8.8.8/a.jpg", "outside", None)], 0, 0)

    with pytest.raises(ContactRequired, match="--contact is missing"):
        fetch_table(rows, replace(settings, guard=guard))


def test_counts_a_picture_over_the_pixel_limit(
    server: FaultServer, settings: FetchSettings
) -> None:
    rows = make_rows_table([(server.url("/noise.png"), "large", None)], 0, 0)

    (pair,) = fetch(rows, replace(settings, max_pixels=60 * 40 - 1))

    assert pair["outcome"] == "too_many_pixels"
    assert pair["http_status"] == 200
