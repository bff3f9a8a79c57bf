"""The marks of what is gone: found again however it is written, and readable by nobody."""

from pathlib import Path

import pytest

from pipelines.purging.tombstones import (
    TOMBSTONES_NAME,
    Tombstones,
    mark_host,
    mark_pair,
    mark_sha256,
    mark_url,
    read_tombstones,
    write_tombstones,
)

URL = "https://images.example.org/a.jpg"


def gone(*marks: object) -> Tombstones:
    return Tombstones(dict.fromkeys(marks))


@pytest.mark.parametrize(
    ("mark", "url"),
    [
        (mark_url(URL), URL),
        (mark_url(URL), " HTTPS://Images.Example.org:443/a.jpg#top"),
        (mark_host("images.example.org"), URL),
        (mark_host("example.org"), URL),
        (mark_host("example.org"), "http://example.org./b"),
    ],
)
def test_holds_a_url_however_it_is_written(mark: object, url: str) -> None:
    assert gone(mark).hold_url(url)


@pytest.mark.parametrize(
    ("mark", "url"),
    [
        (mark_url(URL), "https://images.example.org/b.jpg"),
        (mark_url(URL), "http://images.example.org/a.jpg"),
        (mark_host("images.example.org"), "https://example.org/"),
        (mark_host("example.org"), "https://notexample.org/"),
        (mark_url(URL), "no URL"),
        (mark_url(URL), ""),
    ],
)
def test_leaves_others_alone(mark: object, url: str) -> None:
    assert not gone(mark).hold_url(url)


@pytest.mark.parametrize("text", ["", "no URL", "ftp://example.org/", "https://user@example.org/"])
def test_what_is_no_url_has_no_mark(text: str) -> None:
    """Or all rows without a URL would be gone with one of them."""
    assert mark_url(text) is None
    assert not Tombstones().add(mark_url(text), None)


def test_comes_back_from_its_file_and_tells_nobody(tmp_path: Path) -> None:
    marks = Tombstones()
    assert marks.add(mark_pair(b"p" * 16), "they asked us to")
    assert marks.add(mark_url(URL), None)
    assert marks.add(mark_sha256(b"s" * 32), None)
    assert not marks.add(mark_url(URL), "a second time")

    write_tombstones(str(tmp_path), marks)
    data = (tmp_path / TOMBSTONES_NAME).read_bytes()

    assert read_tombstones(str(tmp_path)) == marks
    assert marks.pair_ids == [b"p" * 16]
    assert marks.hold_bytes(b"s" * 32) and not marks.hold_bytes(b"t" * 32)
    assert b"example" not in data and b"s" * 32 not in data
    write_tombstones(str(tmp_path), Tombstones(dict(reversed(marks.marks.items()))))
    assert (tmp_path / TOMBSTONES_NAME).read_bytes() == data


def test_a_folder_without_the_file_has_none(tmp_path: Path) -> None:
    assert not read_tombstones(str(tmp_path))
    write_tombstones(str(tmp_path), Tombstones())
    assert not read_tombstones(str(tmp_path))


def test_names_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / TOMBSTONES_NAME).write_bytes(b"no table")

    with pytest.raises(ValueError, match=r"tombstones\.parquet cannot be read as tombstones"):
        read_tombstones(str(tmp_path))
