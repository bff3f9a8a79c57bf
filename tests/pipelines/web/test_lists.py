import gzip
import hashlib
from pathlib import Path

import pytest

from pipelines.refused import Refused
from pipelines.web.lists import Lists, load_lists

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


@pytest.mark.parametrize("line", ["example.org", SHA256[:-1], SHA256 + "00", "g" * 32])
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
