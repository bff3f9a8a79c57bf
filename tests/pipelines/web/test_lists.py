import gzip
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from filters.signals.perceptual_hash import perceptual_hash
from pipelines.fetching.refused import Refused
from pipelines.purging.tombstones import Tombstones, mark_sha256, mark_url, write_tombstones
from pipelines.web.lists import Lists, load_lists, load_purge_list
from tokens.pixels import read_stored

BODY = b"the bytes of a picture"
SHA256, MD5 = hashlib.sha256(BODY).hexdigest(), hashlib.md5(BODY).hexdigest()


def optout(folder: Path, *lines: str) -> Lists:
    file = folder / "optout.txt"
    file.write_text("\n".join(lines))
    return load_lists([str(file)], [])


def blocklist(folder: Path, *lines: str) -> Lists:
    file = folder / "block.txt"
    file.write_text("\n".join(lines))
    return load_lists([], [str(file)])


@pytest.mark.parametrize(
    ("line", "url"),
    [
        ("https://example.org/a.jpg", "https://example.org/a.jpg"),
        ("HTTPS://Example.ORG:443/a.jpg#top", "https://example.org/a.jpg"),
        ("https://example.org/a.jpg", "HTTPS://EXAMPLE.org:443/a.jpg#x"),
        ("http://example.org", "http://example.org:80/"),
        ("https://bücher.example/ä.jpg", "https://xn--bcher-kva.example/%C3%A4.jpg"),
        ("example.org", "https://example.org/a.jpg"),
        ("Example.org.", "http://images.example.org:8080/a.jpg"),
        ("example.org", "https://a.b.example.org./a.jpg"),
        ("bücher.example", "https://xn--bcher-kva.example/"),
        ("192.0.2.1", "http://192.0.2.1/"),
        ("example.org  # they wrote on 3 May", "https://example.org/"),
    ],
)
def test_refuses(tmp_path: Path, line: str, url: str) -> None:
    with pytest.raises(Refused, match="optout_list"):
        optout(tmp_path, "# asked us", "", line).refuse_url(url)


@pytest.mark.parametrize(
    ("line", "url"),
    [
        ("https://example.org/a.jpg", "https://example.org/b.jpg"),
        ("https://example.org/a.jpg", "http://example.org/a.jpg"),
        ("https://example.org/a.jpg", "https://example.org/a.jpg?size=1"),
        ("https://example.org/A.jpg", "https://example.org/a.jpg"),
        ("example.org", "https://notexample.org/"),
        ("example.org", "https://example.org.uk/"),
        ("images.example.org", "https://example.org/"),
        ("# example.org", "https://example.org/"),
    ],
)
def test_leaves_alone(tmp_path: Path, line: str, url: str) -> None:
    optout(tmp_path, line).refuse_url(url)


@pytest.mark.parametrize(
    ("line", "signal"),
    [
        ("https://images.example.org/a.jpg", "optout.txt: this URL"),
        ("example.org", "optout.txt: host example.org"),
    ],
)
def test_says_which_list_and_which_kind_of_line(tmp_path: Path, line: str, signal: str) -> None:
    with pytest.raises(Refused) as refused:
        optout(tmp_path, line).refuse_url("https://images.example.org/a.jpg")

    assert refused.value.signal == signal


def test_refuses_bytes_by_digest(tmp_path: Path) -> None:
    with pytest.raises(Refused) as by_owner:
        optout(tmp_path, SHA256.upper()).refuse_bytes(BODY)
    with pytest.raises(Refused) as by_sha256:
        blocklist(tmp_path, SHA256).refuse_bytes(BODY)
    with pytest.raises(Refused) as by_md5:
        blocklist(tmp_path, MD5).refuse_bytes(BODY)

    assert (by_owner.value.reason, by_owner.value.signal) == ("optout_list", "optout.txt: SHA-256")
    assert (by_sha256.value.reason, by_md5.value.reason) == ("blocklist_hit", "blocklist_hit")
    assert by_md5.value.signal == "block.txt: MD5"


def draw(seed: int) -> bytes:
    """A stored picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.imencode(".jpg", cv2.resize(coarse, (160, 120)))[1].tobytes()


def test_refuses_a_picture_that_looks_like_a_listed_one(tmp_path: Path) -> None:
    digest = perceptual_hash(read_stored(draw(1))) ^ 0b101
    lists = blocklist(tmp_path, SHA256, f"phash:{digest:016x}  # two bits off")

    with pytest.raises(Refused) as refused:
        lists.refuse_picture(draw(1))
    lists.refuse_picture(draw(2))

    assert (refused.value.reason, refused.value.signal) == ("blocklist_hit", "block.txt: phash")
    blocklist(tmp_path, SHA256).refuse_picture(b"no picture: it is not decoded")


def test_what_was_taken_down_is_refused_again(tmp_path: Path) -> None:
    url = "https://example.org/a.jpg"
    marks = (mark_url(url), mark_sha256(hashlib.sha256(BODY).digest()))
    write_tombstones(str(tmp_path), Tombstones(dict.fromkeys(marks)))
    lists = load_lists([], [], str(tmp_path))

    with pytest.raises(Refused, match="tombstoned"):
        lists.refuse_url("HTTPS://example.org:443/a.jpg#again")
    with pytest.raises(Refused, match="tombstoned"):
        lists.refuse_bytes(BODY)
    lists.refuse_url("https://example.org/b.jpg")
    lists.refuse_bytes(BODY + b"!")


def test_reads_what_has_to_go(tmp_path: Path) -> None:
    file = tmp_path / "purge.txt"
    lines = ["https://example.org/a.jpg", "example.com", SHA256, MD5, f"phash:{MD5[:16]} 5"]
    file.write_text("\n".join([*lines, *lines]))

    entries = load_purge_list(str(file))

    assert entries.pair_ids == {bytes.fromhex(MD5)}
    assert entries.sha256 == {bytes.fromhex(SHA256)}
    assert (entries.urls, entries.hosts) == ({lines[0]}, {"example.com"})
    assert (len(entries), len(entries.looks), entries.md5) == (5, 1, set())


@pytest.mark.parametrize("line", ["two words", SHA256[:-1], "phash:12", "*.example.org"])
def test_names_file_and_line_that_cannot_go(tmp_path: Path, line: str) -> None:
    file = tmp_path / "purge.txt"
    file.write_text(line)

    with pytest.raises(ValueError, match=r"purge\.txt, line 1: .* is neither a URL"):
        load_purge_list(str(file))


def test_leaves_other_bytes_alone(tmp_path: Path) -> None:
    blocklist(tmp_path, SHA256, MD5).refuse_bytes(BODY + b"!")
    Lists().refuse_bytes(BODY)
    Lists().refuse_url("not even a URL")


def test_reads_packed_lists_and_several(tmp_path: Path) -> None:
    packed = tmp_path / "hosts.txt.gz"
    packed.write_bytes(gzip.compress("\ufeffexample.org\r\n".encode()))
    (tmp_path / "other.txt").write_text("example.com\n")

    lists = load_lists([str(packed), str(tmp_path / "other.txt")], [])

    for host in ("example.org", "example.com"):
        with pytest.raises(Refused):
            lists.refuse_url(f"https://{host}/")


@pytest.mark.parametrize(
    "line",
    [
        "two words",
        "example.org/path",
        "ftp://example.org/a.jpg",
        "https://user@example.org/",
        "https://",
        "*.example.org",
        MD5,
        SHA256[:-1],
    ],
)
def test_names_file_and_line_that_is_no_optout(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match=r"optout\.txt, line 2: .* is neither a URL"):
        optout(tmp_path, "example.org", line)


@pytest.mark.parametrize(
    "line",
    ["example.org", SHA256[:-1], SHA256 + "00", "g" * 32, "phash:12", f"phash:{MD5[:16]} 12"],
)
def test_names_file_and_line_that_is_no_digest(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match=r"block\.txt, line 1: .* is neither a SHA-256"):
        blocklist(tmp_path, line)


def test_names_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"b\xfccher.example\n")
    broken = tmp_path / "broken.txt.gz"
    broken.write_bytes(b"no gzip")
    flipped = tmp_path / "flipped.txt.gz"
    flipped.write_bytes(gzip.compress(b"example.org\n" * 500)[:20] + b"\xff" * 20)

    for file in (tmp_path / "none.txt", latin, broken, flipped):
        with pytest.raises(ValueError, match=f"{file.name} cannot be read as a list"):
            load_lists([str(file)], [])
