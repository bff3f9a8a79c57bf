"""Pictures that a source holds itself become rows and are read; a hostile one costs rows alone."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.decoding.picture import StoredImage
from pipelines.fetch import fetch_rows
from pipelines.fetching.session import FetchSession
from pipelines.inputs.dialects import Columns
from pipelines.inputs.source import Row, Source
from pipelines.inputs.source_reading import hash_source, read_rows
from pipelines.inputs.stored_pictures import read_stored
from pipelines.sources import make_rows_table
from pipelines.web.client import Fetched
from pipelines.web.settings import FetchSettings
from tests.pipelines.inputs.picture_files import saved, smooth

MAX_BYTES = 100_000
NAMES = ("0", "a/1", "a/b/2")
CAPTIONS = ("a house", "two birds\nover the sea", "caf\u00e9")
PICTURES = tuple(saved(smooth(60, 40, seed), "PNG") for seed in range(3))


def as_folder(path: Path) -> Source:
    folder = path / "photos"
    for number, (body, caption) in enumerate(zip(PICTURES, CAPTIONS, strict=True)):
        place = folder / ("", "a", "a/b")[number]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.png").write_bytes(body)
        (place / f"{number}.txt").write_text(caption + "\n")
    return Source(str(folder))


def as_csv(path: Path) -> Source:
    as_folder(path)
    lines = [f'"{n}.png","{caption}"\n' for n, caption in zip(NAMES, CAPTIONS, strict=True)]
    (path / "photos" / "captions.csv").write_text("file,caption\n" + "".join(lines))
    return Source(str(path / "photos" / "captions.csv"), Columns(image="file"))


def as_bytes(path: Path) -> Source:
    table = {"image": pa.array(PICTURES, pa.binary()), "caption": CAPTIONS}
    pq.write_table(pa.table(table), path / "train.parquet", row_group_size=2)
    return Source(str(path / "train.parquet"), Columns(image="image"))


def as_struct(path: Path) -> Source:
    """As Hugging Face's datasets writes an image column."""
    cells = [{"bytes": body, "path": "a.png"} for body in PICTURES]
    table = pa.table({"image": cells, "caption": CAPTIONS})
    pq.write_table(table, path / "train.parquet", row_group_size=2)
    return Source(str(path / "train.parquet"), Columns(image="image"))


def as_tar(path: Path) -> Source:
    with tarfile.open(path / "0.tar", "w") as tar:
        for number, (body, caption) in enumerate(zip(PICTURES, CAPTIONS, strict=True)):
            add(tar, f"{number:09}.png", body)
            add(tar, f"{number:09}.txt", caption.encode())
            add(tar, f"{number:09}.json", b"{}")
    return Source(str(path / "0.tar"))


def add(tar: tarfile.TarFile, name: str, body: bytes = b"", **marks: object) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(body), 1.5  # as webdataset: an extension header each
    for mark, value in marks.items():
        setattr(info, mark, value)
    tar.addfile(info, io.BytesIO(body))


WRITERS = (as_folder, as_csv, as_bytes, as_struct, as_tar)


def rows_of(source: Source) -> list[Row]:
    return list(read_rows(source))


def outcomes(source: Source) -> list[str]:
    """How each row ends, whether before or when its picture is read."""
    return [row.outcome or bring(source, row).outcome for row in rows_of(source)]


def bring(source: Source, row: Row, max_bytes: int = MAX_BYTES) -> Fetched:
    assert row.shard is not None
    assert row.member is not None
    [(_, fetched)] = read_stored(source.folder, row.shard, [row.member], max_bytes)
    return fetched


@pytest.mark.parametrize("write", WRITERS)
def test_each_picture_is_a_row_with_its_caption(
    tmp_path: Path, write: Callable[[Path], Source]
) -> None:
    source = write(tmp_path)
    table = make_rows_table(rows_of(source), 0, 0)

    assert table["caption"].to_pylist() == list(CAPTIONS)
    assert len(set(table["url"].to_pylist())) == 3
    assert all(url.startswith(f"{source.label}/") for url in table["url"].to_pylist())
    assert not any(str(tmp_path) in url for url in table["url"].to_pylist())
    assert [bring(source, row) for row in rows_of(source)] == [
        Fetched("ok", body) for body in PICTURES
    ]


@pytest.mark.parametrize("write", WRITERS)
def test_a_unit_reads_its_pictures_in_whatever_order(
    tmp_path: Path, write: Callable[[Path], Source]
) -> None:
    source = write(tmp_path)
    rows = [rows_of(source)[place] for place in (2, 0, 2, 1)]
    settings = FetchSettings()

    with FetchSession(settings, StoredImage(20, "png"), "pairmill") as session:
        pairs = fetch_rows(make_rows_table(rows, 0, 0), session, lambda _: None, [source.url])

    assert pairs["outcome"].to_pylist() == ["ok"] * 4
    assert pairs["body_bytes"].to_pylist() == [len(PICTURES[n]) for n in (2, 0, 2, 1)]
    images = pairs["image"].to_pylist()
    assert images[0] == images[2]
    assert len(set(images)) == 3
    assert set(pairs["http_status"].to_pylist()) == {None}


@pytest.mark.parametrize("write", WRITERS)
def test_the_size_of_a_picture_at_hand_decides(
    tmp_path: Path, write: Callable[[Path], Source]
) -> None:
    source = write(tmp_path)
    [row, *_] = rows_of(source)
    assert bring(source, row, len(PICTURES[0])).outcome == "ok"
    assert bring(source, row, len(PICTURES[0]) - 1).outcome == "body_too_large"


@pytest.mark.parametrize("write", WRITERS)
def test_a_source_that_was_moved_is_the_same_and_a_changed_one_is_not(
    tmp_path: Path, write: Callable[[Path], Source]
) -> None:
    source = write(tmp_path)
    before = hash_source(source)
    moved = tmp_path.rename(tmp_path.with_name(tmp_path.name + "-moved"))
    there = Source(source.url.replace(str(tmp_path), str(moved)), source.columns)
    assert hash_source(there) == before

    changed = next(
        file for file in sorted(moved.rglob("*")) if file.suffix in (".png", ".tar", ".parquet")
    )
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    assert hash_source(there) != before


@pytest.mark.parametrize("write", WRITERS)
def test_a_source_may_lie_anywhere_that_fsspec_reaches(
    tmp_path: Path, write: Callable[[Path], Source]
) -> None:
    here = write(tmp_path)
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path), f"/{tmp_path.name}", recursive=True)
    there = Source(here.url.replace(str(tmp_path), f"memory://{tmp_path.name}"), here.columns)

    assert rows_of(there) == rows_of(here)
    assert hash_source(there) == hash_source(here)
    assert [bring(there, row) for row in rows_of(there)] == [
        Fetched("ok", body) for body in PICTURES
    ]


def test_another_caption_is_another_folder(tmp_path: Path) -> None:
    source = as_folder(tmp_path)
    before = hash_source(source)
    (tmp_path / "photos" / "0.txt").write_text("another house")
    assert hash_source(source) != before


def test_files_of_a_folder_come_before_its_folders_and_all_by_name(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "b/10.JPG", "a.jpeg", "c.gif", "B/1.webp", "note.pdf", "b/x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [row.member for row in rows_of(Source(str(tmp_path)))] == [
        *("file:a.jpeg", "file:c.gif", "file:B/1.webp", "file:b/10.JPG", "file:b/2.jpg"),
    ]


def test_one_picture_may_have_several_captions(tmp_path: Path) -> None:
    source = as_csv(tmp_path)
    with Path(source.url).open("a") as file:
        file.write("0.png,another view of it\n")
    rows = rows_of(source)
    assert rows[0].member == rows[3].member
    assert rows[0].url == rows[3].url


def test_a_table_may_give_the_url_that_a_picture_came_from(tmp_path: Path) -> None:
    as_csv(tmp_path)
    path = tmp_path / "photos" / "captions.jsonl"
    lines = [{"file": "0.png", "caption": "a", "url": "http://a/"}, {"file": "a/1.png"}]
    path.write_text("\n".join(map(json.dumps, lines)))
    source = Source(str(path), Columns(image="file"))
    assert [row.url for row in rows_of(source)] == ["http://a/", "captions.jsonl/a/1.png"]
    assert outcomes(source) == ["ok", "ok"]


def test_a_digest_column_beside_pictures_is_left_alone(tmp_path: Path) -> None:
    """img2dataset's and DataComp's are of the bytes before they were shrunk."""
    table = {"image": list(PICTURES), "caption": CAPTIONS, "sha256": ["ab" * 32] * 3}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    rows = rows_of(Source(str(tmp_path / "a.parquet"), Columns(image="image")))
    assert [row.expected_hash for row in rows] == [None] * 3


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        pytest.param("0.png", "ok", id="there"),
        pytest.param("./a/./1.png", "ok", id="stays where it is"),
        pytest.param("a//1.png", "not_an_image", id="an empty folder's name"),
        pytest.param("a/../0.png", "not_an_image", id="climbs and comes back"),
        pytest.param("../secret.png", "not_an_image", id="climbs"),
        pytest.param("a/../../secret.png", "not_an_image", id="climbs late"),
        pytest.param("{root}/secret.png", "not_an_image", id="absolute"),
        pytest.param("file://{root}/secret.png", "not_an_image", id="an address"),
        pytest.param("http://127.0.0.1:9/a.png", "not_an_image", id="a web address"),
        pytest.param("..\\\\secret.png", "not_an_image", id="the other slash"),
        pytest.param("link.png", "not_an_image", id="a link that leads out"),
        pytest.param("up/secret.png", "not_an_image", id="a linked folder that leads out"),
        pytest.param("inner.png", "ok", id="a link that stays inside"),
        pytest.param("round.png", "not_an_image", id="a link to itself"),
        pytest.param("pipe.png", "not_an_image", id="a pipe"),
        pytest.param("a", "not_an_image", id="a folder"),
        pytest.param("0.png/x", "not_an_image", id="below a file"),
        pytest.param("gone.png", "truncated_body", id="not there"),
        pytest.param("gone/gone.png", "truncated_body", id="no such folder"),
        pytest.param("", "bad_url", id="nothing"),
        pytest.param("x" * 5000, "not_an_image", id="endless"),
        pytest.param("*.png", "truncated_body", id="a pattern is a name"),
    ],
)
@pytest.mark.timeout(30)
def test_no_name_leads_out_of_the_tables_folder(tmp_path: Path, name: str, outcome: str) -> None:
    as_folder(tmp_path)
    photos = tmp_path / "photos"
    (tmp_path / "secret.png").write_bytes(PICTURES[0])
    (photos / "link.png").symlink_to("../secret.png")
    (photos / "up").symlink_to("..")
    (photos / "inner.png").symlink_to("a/1.png")
    (photos / "round.png").symlink_to("round.png")
    os.mkfifo(photos / "pipe.png")
    table = json.dumps({"file": name.replace("{root}", str(tmp_path)), "caption": "a"})
    (photos / "t.jsonl").write_text(table)

    assert outcomes(Source(str(photos / "t.jsonl"), Columns(image="file"))) == [outcome]


@pytest.mark.parametrize("name", ["../secret.png", "a/../../secret.png", "/secret.png"])
def test_no_name_climbs_where_there_are_no_links_to_follow(tmp_path: Path, name: str) -> None:
    memory = fsspec.filesystem("memory")
    folder = f"/{tmp_path.name}-{len(name)}"
    memory.pipe({f"{folder}/photos/a.png": PICTURES[0], f"{folder}/secret.png": PICTURES[0]})

    [(_, fetched)] = read_stored(f"memory:/{folder}/photos", ".", [f"file:{name}"], MAX_BYTES)

    assert fetched == Fetched("not_an_image", signal="its name leads out of the folder")


def test_links_of_a_folder_are_rows_and_lead_nowhere(tmp_path: Path) -> None:
    source = as_folder(tmp_path)
    (tmp_path / "secret.png").write_bytes(PICTURES[0])
    (tmp_path / "secret.txt").write_text("a secret")
    photos = tmp_path / "photos"
    (photos / "link.png").symlink_to(tmp_path / "secret.png")
    (photos / "0.txt").unlink()
    (photos / "0.txt").symlink_to(tmp_path / "secret.txt")
    (photos / "round").symlink_to(".")

    rows = {row.member: row for row in rows_of(source)}

    assert len(rows) == 4
    assert rows["file:0.png"].caption is None
    assert bring(source, rows["file:link.png"]) == Fetched(
        "not_an_image", signal="a link leads out of the folder"
    )


def test_a_folder_of_nothing_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(ValueError, match=r"and without a picture: .*pattern such as DIR/\*"):
        rows_of(Source(str(tmp_path)))


def test_a_caption_file_without_end_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(ValueError, match="a.txt is longer than 16777216 bytes"):
        rows_of(Source(str(tmp_path)))


def test_a_cell_without_a_picture_costs_its_row(tmp_path: Path) -> None:
    cells = [{"bytes": None, "path": "a.png"}, None, {"bytes": b"", "path": ""}]
    schema = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(cells, schema), "caption": CAPTIONS})
    pq.write_table(table, tmp_path / "a.parquet")
    source = Source(str(tmp_path / "a.parquet"), Columns(image="image"))
    assert outcomes(source) == ["truncated_body", "truncated_body", "empty_body"]


def test_a_table_that_breaks_off_after_it_was_cut_loses_rows_alone(tmp_path: Path) -> None:
    source = as_bytes(tmp_path)
    rows = rows_of(source)
    for damage in (lambda data: data[:-50], lambda data: b"PAR1" + data[40:], lambda _: b""):
        path = Path(as_bytes(tmp_path).url)
        path.write_bytes(damage(path.read_bytes()))
        assert {bring(source, row).outcome for row in rows} <= {"truncated_body", "ok"}


@pytest.mark.parametrize("write", [as_bytes, as_tar])
def test_a_shard_that_is_gone_is_no_rows_fault(
    tmp_path: Path, write: Callable[[Path], Source]
) -> None:
    source = write(tmp_path)
    rows = rows_of(source)
    Path(source.url).unlink()
    with pytest.raises(FileNotFoundError, match="must stay where it was"):
        bring(source, rows[0])


def test_a_json_file_says_more_of_a_member(tmp_path: Path) -> None:
    told = {
        "url": "http://a/1.jpg",
        "caption": "by json",
        "license": "CC0",
        "original_width": 600,
        "original_height": 400,
        "face_bboxes": [[0, 0, 0.5, 0.5]],
        "sha256": "ab" * 32,
    }
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        add(tar, "x/1.jpg", PICTURES[0])
        add(tar, "x/1.json", json.dumps(told).encode())
        add(tar, "x/1.txt", b"by text")
    source = Source(str(tmp_path / "0.tar"))

    [row] = rows_of(source)
    [by_text] = rows_of(Source(source.url, Columns(captions=("txt", "caption"))))

    assert row._replace(member=None) == Row(
        *(b"http://a/1.jpg", b"by json", b"CC0", None, None, None, "0.tar", None, 600, 400),
        face_boxes=(0.0, 0.0, 0.5, 0.5),
    )
    assert by_text.caption == b"by text"
    settings = FetchSettings()
    with FetchSession(settings, StoredImage(), "pairmill") as session:
        [pair] = fetch_rows(
            make_rows_table([row], 0, 0), session, lambda _: None, [source.url]
        ).to_pylist()
    assert (pair["width"], pair["original_width"], pair["body_bytes"]) == (60, 600, None)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param([("1.txt", b"a")], ["not_an_image"], id="no picture"),
        pytest.param([("1.png", PICTURES[0])], ["ok"], id="no caption"),
        pytest.param([("1.png", PICTURES[0]), ("1.json", b"{" * 9000)], ["ok"], id="broken json"),
        pytest.param([("1.png", PICTURES[0]), ("1.json", b"[1]")], ["ok"], id="another json"),
        pytest.param(
            [("1.png", PICTURES[0]), ("2.txt", b"a"), ("1.txt", b"b")],
            ["ok", "not_an_image", "not_an_image"],
            id="not one behind the other",
        ),
        pytest.param([("../../1.png", PICTURES[0])], ["ok"], id="a name is no path"),
        pytest.param([("a/.hidden.png", b""), ("README", b"")], [], id="hidden"),
        pytest.param([("1.PNG", PICTURES[0]), ("1.seg.png", b"")], ["ok"], id="capitals"),
        pytest.param([("d" * 120 + "/1.png", PICTURES[0])], ["ok"], id="a long name"),
        pytest.param([("1.png", b"")], ["empty_body"], id="empty"),
    ],
)
@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_what_a_tar_may_hold(
    tmp_path: Path, members: list[tuple[str, bytes]], expected: list[str], kind: int
) -> None:
    with tarfile.open(tmp_path / "0.tar", "w", format=kind) as tar:
        for name, body in members:
            add(tar, name, body)
    rows = rows_of(Source(str(tmp_path / "0.tar")))
    assert outcomes(Source(str(tmp_path / "0.tar"))) == expected
    if members[0][0].startswith("d"):
        assert rows[0].url == f"0.tar/{members[0][0].removesuffix('.png')}".encode()


@pytest.mark.parametrize(
    "marks",
    [
        pytest.param({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, id="symbolic link"),
        pytest.param({"type": tarfile.LNKTYPE, "linkname": "1.jpg"}, id="hard link"),
        pytest.param({"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}, id="device"),
        pytest.param({"type": tarfile.FIFOTYPE}, id="pipe"),
    ],
)
def test_only_plain_members_are_pictures(tmp_path: Path, marks: dict[str, object]) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        add(tar, "0.jpg", **marks)
        add(tar, "0.txt", b"caption")
        add(tar, "1.jpg", PICTURES[1])
    assert outcomes(Source(str(tmp_path / "0.tar"))) == ["not_an_image", "ok"]


def test_a_tar_that_was_cut_off_is_one_sentence_or_loses_its_last_row(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = Path(as_tar(tmp_path).url).read_bytes()
    source = Source(str(tmp_path / "cut.tar"))
    inside_a_picture = whole.index(b"000000001.png", 1500) + 512 + 100
    for length in (0, 100, 512 * 2 + 7):
        Path(source.url).write_bytes(whole[:length])
        with pytest.raises(ValueError, match="cut.tar is no tar, or damaged"):
            rows_of(source)
    for length, ends in ((512 * 3 + 7, []), (inside_a_picture, ["ok"])):
        Path(source.url).write_bytes(whole[:length])
        caplog.clear()
        assert outcomes(source) == [*ends, "truncated_body"]
        assert "cut.tar has no end mark" in caplog.text


def test_a_tar_that_changed_since_it_was_cut_loses_rows_alone(tmp_path: Path) -> None:
    source = as_tar(tmp_path)
    rows = rows_of(source)
    Path(source.url).write_bytes(b"\0" * 512 + Path(source.url).read_bytes())
    assert {bring(source, row).outcome for row in rows} == {"truncated_body"}


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.zst"])
def test_a_packed_tar_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match=f"{name} is a packed tar"):
        rows_of(Source(str(tmp_path / name)))


@given(st.binary(max_size=3000))
def test_any_bytes_for_a_tar_are_rows_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "0.tar"
    path.write_bytes(content)
    try:
        rows_of(Source(str(path)))
    except ValueError as err:
        assert "is no tar, or damaged" in str(err)


@given(st.binary(max_size=40), st.integers(0, 511))
def test_a_damaged_header_is_rows_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, patch: bytes, place: int
) -> None:
    path = tmp_path_factory.mktemp("any")
    tar = Path(as_tar(path).url)
    content = bytearray(tar.read_bytes())
    content[1024 + place : 1024 + place + len(patch)] = patch
    tar.write_bytes(content)
    source = Source(str(tar))
    try:
        ends = outcomes(source)
    except ValueError as err:
        assert "is no tar, or damaged" in str(err)
    else:
        assert set(ends) <= {"ok", "not_an_image", "truncated_body", "body_too_large", "empty_body"}


def test_lists_of_urls_and_digests_hold_for_pictures_at_hand(tmp_path: Path) -> None:
    as_folder(tmp_path)
    told = [
        {"file": "0.png", "caption": "a name is no URL"},
        {"file": "0.png", "caption": "a", "url": "http://left.alone.example/0.png"},
        {"file": "a/1.png", "caption": "by its bytes"},
    ]
    (tmp_path / "photos" / "t.jsonl").write_text("\n".join(map(json.dumps, told)))
    source = Source(str(tmp_path / "photos" / "t.jsonl"), Columns(image="file"))
    (tmp_path / "optout.txt").write_text(
        f"alone.example\n{hashlib.sha256(PICTURES[1]).hexdigest()}\n"
    )
    settings = FetchSettings(optout_lists=(str(tmp_path / "optout.txt"),))

    with FetchSession(settings, StoredImage(), "pairmill") as session:
        pairs = fetch_rows(
            make_rows_table(rows_of(source), 0, 0), session, lambda _: None, [source.url]
        )

    assert pairs["outcome"].to_pylist() == ["ok", "optout_list", "optout_list"]


def test_pictures_at_hand_are_decoded_in_other_processes(tmp_path: Path) -> None:
    """A picture that lies, from a folder, costs its row, as one from the web does."""
    source = as_folder(tmp_path)
    (tmp_path / "photos" / "0.png").write_bytes(PICTURES[0][:60])
    (tmp_path / "photos" / "a" / "1.png").write_bytes(b"<!doctype html>")
    settings = FetchSettings()
    with FetchSession(settings, StoredImage(), "pairmill") as session:
        pairs = fetch_rows(
            make_rows_table(rows_of(source), 0, 0), session, lambda _: None, [source.url]
        )
    assert pairs["outcome"].to_pylist() == ["decode_error", "not_an_image", "ok"]
    assert np.array(pairs["original_width"])[2] == 60
