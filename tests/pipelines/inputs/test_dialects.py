"""Rows as the makers of well-known lists write them: each dialect reads its own."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.inputs.dialects import DIALECTS
from pipelines.inputs.source import Row, Source
from pipelines.sources import make_rows_table, read_rows

CC3M = (
    "a very typical bus station\thttp://lh6.ggpht.com/-IvRtNLNcG8o/TpFyrudaT6I/a.jpg?imgmax=800\n"
    'sierra looked stunning in this top and "this skirt"\thttp://78.media.tumblr.com/3b1.jpg\n'
)
CC12M = (
    "https://static.wixstatic.com/media/c0ca83_d75c.jpg\tMetal Design Within Reach Ivory Slipper\n"
    "http://i.ebayimg.com/00/s/b.jpg\t<PERSON> was the first US president to attend\n"
)
YFCC_PHOTO = (
    *("6985418911", "4e2f7a26a1dfbf165a7e30bdabf7e72a", "39089491@N00", "gabboT"),
    *("2012-02-16 09:56:37.0", "1331840483", "Canon+EOS+REBEL+T1i", "Kite+%26+sea%2C+1"),
    *("It%27s+a+%3Ca+href%3D%22http%3A%2F%2Fx%22%3Ekite%3C%2Fa%3E", "beach,kite", "", "-122.43"),
    *("37.80", "16", "http://www.flickr.com/photos/39089491@N00/6985418911/"),
    *("http://farm8.staticflickr.com/7205/6985418911_df7747990d.jpg",),
    *("Attribution-NonCommercial-ShareAlike License",),
    *("http://creativecommons.org/licenses/by-nc-sa/2.0/", "7205", "8"),
    *("df7747990d", "692d7e0a7f", "jpg", "0"),
)
"""As the files of today have it, behind the line's number."""
YFCC_URL = YFCC_PHOTO[15]
YFCC_LICENCE = "http://creativecommons.org/licenses/by-nc-sa/2.0/"


def yfcc_line(number: int | None = None, **changes: str) -> str:
    """A line of 25 columns, or without a number one of 23."""
    places = {"title": 7, "description": 8, "marker": 23}
    cells = list(YFCC_PHOTO)
    for name, value in changes.items():
        cells[places[name]] = value
    if number is None:
        return "\t".join([cells[0], *cells[2:]]) + "\n"
    return "\t".join([str(number), *cells]) + "\n"


YFCC_CHANGES = (
    {},
    {"title": "", "marker": "0"},
    {"title": "caf%C3%A9+%2B+bar"},
    {"title": "+", "description": ""},
    {"title": "A+film", "marker": "1"},
    {"title": "", "description": "", "marker": "1"},
)
YFCC_CAPTIONS = (
    "Kite & sea, 1",
    'It\'s a <a href="http://x">kite</a>',
    "caf\u00e9 + bar",
    " ",
    "A film",
    "",
)
YFCC_OUTCOMES = (None, None, None, None, "video", "video")

WIT_HEADER = (
    *("language", "page_url", "image_url", "page_title", "section_title"),
    *("hierarchical_section_title", "caption_reference_description"),
    *("caption_attribution_description", "caption_alt_text_description", "mime_type"),
    *("original_height", "original_width", "is_main_image", "attribution_passes_lang_id"),
    *("page_changed_recently", "context_page_description", "context_section_description"),
)
WIT_IMAGE = "https://upload.wikimedia.org/wikipedia/commons/a/a8/1991_GMC.jpg"


def wit_line(reference: str, attribution: str, alt: str) -> str:
    cells = (
        *("en", "https://en.wikipedia.org/wiki/GMC", WIT_IMAGE, "GMC", "Third", "GMC / Third"),
        *(reference, attribution, alt, "image/jpeg", "1014", "2024", "false", "true", "true"),
        '"The GMC is a van with ""quotes"" in\tits text."',
        "",
    )
    return "\t".join(cells) + "\n"


LAION = {
    "SAMPLE_ID": pa.array([2277000000001, 2277000000002], pa.int64()),
    "URL": ["https://i.pinimg.com/a.jpg", "https://cdn.shopify.com/b.jpg"],
    "TEXT": ["Dining table, oak", "Red boots"],
    "HEIGHT": pa.array([640, 300], pa.int32()),  # which is the width
    "WIDTH": pa.array([480, 400], pa.int32()),
    "LICENSE": ["?", "http://creativecommons.org/licenses/by/4.0/"],
    "NSFW": ["UNLIKELY", "UNSURE"],
    "similarity": [0.33, 0.31],
}
JOINED = {
    "URL": LAION["URL"],
    "TEXT": LAION["TEXT"],
    "WIDTH": pa.array([640.0, None], pa.float64()),
    "HEIGHT": pa.array([480.0, None], pa.float64()),
    "similarity": [0.33, 0.31],
    "LANGUAGE": ["en", "en"],
    "hash": pa.array([-5012345678901234567, 7], pa.int64()),
    "pwatermark": [0.1, 0.2],
    "punsafe": [0.0, 0.1],
}
COYO = {
    "id": pa.array([841814333321], pa.int64()),
    "url": ["https://blog.dogsof.com/wp-content/uploads/2021/03/Image-from-iOS-5.jpg"],
    "text": ["A Pomsky dog sitting and smiling in field of orange flowers"],
    "width": pa.array([1000], pa.int64()),
    "height": pa.array([988], pa.int64()),
    "image_phash": ["c9b6a7d8469c1959"],
    "text_length": [59],
    "word_count": [11],
    "num_tokens_bert": [13],
    "num_tokens_gpt": [12],
    "num_faces": [0],
    "clip_similarity_vitb32": [0.4296875],
    "clip_similarity_vitl14": [0.35205078125],
    "nsfw_score_opennsfw2": [0.00031447],
    "nsfw_score_gantman": [0.03298],
    "watermark_score": [0.1014],
    "aesthetic_score_laion_v2": [5.435476],
}
DATACOMP_SHA256 = "f19dc1ec9d1a5d2c6a8d4ff1b2f0b5a8de36be1f9cf9ebd7b4dc6d1ed25ed6d1"
DATACOMP = {
    "uid": ["d0e4f5a3b7c14d6c9a0b1c2d3e4f5a6b", "00000000000000000000000000000001"],
    "url": ["https://images.example.com/a.jpg", "https://images.example.com/b.jpg"],
    "text": ["Two people at a table", "A table"],
    "original_width": pa.array([800, 350], pa.int32()),
    "original_height": pa.array([600, 350], pa.int32()),
    "clip_b32_similarity_score": pa.array([0.25, 0.2], pa.float32()),
    "clip_l14_similarity_score": pa.array([0.22, 0.2], pa.float32()),
    "face_bboxes": pa.array(
        [[[0.25, 0.125, 0.5, 0.375], [0.5, 0.25, 0.75, 0.5]], []],
        pa.list_(pa.list_(pa.float64())),
    ),
    "sha256": [DATACOMP_SHA256, DATACOMP_SHA256],
}


def read(path: Path, dialect: str) -> list[dict[str, object]]:
    """The rows as they are cut, without what is null."""
    source = Source(str(path), DIALECTS[dialect].columns, DIALECTS[dialect])
    table = make_rows_table(list(read_rows(source)), 0, 0)
    told = [name for name in table.column_names if name not in ("source", "row", "invalid_utf8")]
    return [
        {name: value for name, value in row.items() if value is not None}
        for row in table.select(told).to_pylist()
    ]


def pack_zstd(data: bytes) -> bytes:
    """One frame."""
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


def write_parquet(path: Path, table: dict[str, object]) -> Path:
    pq.write_table(pa.table(table), path)
    return path


def test_cc3m_has_the_caption_first_and_no_header(tmp_path: Path) -> None:
    (tmp_path / "Train_GCC-training.tsv").write_text(CC3M)

    assert read(tmp_path / "Train_GCC-training.tsv", "cc3m") == [
        {
            "url": "http://lh6.ggpht.com/-IvRtNLNcG8o/TpFyrudaT6I/a.jpg?imgmax=800",
            "caption": "a very typical bus station",
        },
        {
            "url": "http://78.media.tumblr.com/3b1.jpg",
            "caption": 'sierra looked stunning in this top and "this skirt"',
        },
    ]


def test_cc12m_has_the_url_first_and_no_header(tmp_path: Path) -> None:
    (tmp_path / "cc12m.tsv").write_text(CC12M)

    rows = read(tmp_path / "cc12m.tsv", "cc12m")

    assert [row["url"] for row in rows] == [line.split("\t")[0] for line in CC12M.splitlines()]
    assert rows[1]["caption"] == "<PERSON> was the first US president to attend"


@pytest.mark.parametrize("numbered", [True, False], ids=["25 columns", "23 columns"])
def test_yfcc100m_is_told_apart_by_its_columns(tmp_path: Path, numbered: bool) -> None:
    lines = [
        yfcc_line(number if numbered else None, **changes)
        for number, changes in enumerate(YFCC_CHANGES)
    ]
    (tmp_path / "yfcc100m_dataset-0").write_text("".join(lines))

    rows = read(tmp_path / "yfcc100m_dataset-0", "yfcc100m")

    assert [row["caption"] for row in rows] == list(YFCC_CAPTIONS)
    assert [row.get("outcome") for row in rows] == list(YFCC_OUTCOMES)
    assert {row["url"] for row in rows} == {YFCC_URL}
    assert {row["license"] for row in rows} == {YFCC_LICENCE}


def test_wit_prefers_the_reference_then_the_alt_text(tmp_path: Path) -> None:
    lines = [
        "\t".join(WIT_HEADER) + "\n",
        wit_line("A van", "English: a GMC", "alt"),
        wit_line("", "English: a GMC", "alt"),
        wit_line("", "English: a GMC", ""),
        wit_line('"The ""Third"" van"', "", ""),
    ]
    path = tmp_path / "wit_v1.train.all-00000-of-00010.tsv.gz"
    path.write_bytes(gzip.compress("".join(lines).encode()))

    rows = read(path, "wit")

    assert [row["caption"] for row in rows] == ["A van", "alt", "English: a GMC", 'The "Third" van']
    assert {row["url"] for row in rows} == {WIT_IMAGE}
    assert {(row["declared_width"], row["declared_height"]) for row in rows} == {(2024, 1014)}


@pytest.mark.parametrize("dialect", ["laion400m", "laion2b"])
def test_laions_base_files_have_width_and_height_swapped(tmp_path: Path, dialect: str) -> None:
    path = write_parquet(tmp_path / "part-00000-5b54c5d5.c000.snappy.parquet", LAION)

    rows = read(path, dialect)

    assert [row["declared_width"] for row in rows] == [640, 300]
    assert [row["declared_height"] for row in rows] == [480, 400]
    assert [row["license"] for row in rows] == LAION["LICENSE"]
    assert [row["caption"] for row in rows] == LAION["TEXT"]
    assert [row["url"] for row in rows] == LAION["URL"]


def test_laions_joined_files_have_them_right(tmp_path: Path) -> None:
    rows = read(write_parquet(tmp_path / "a.parquet", JOINED), "laion-joined")

    assert [row.get("declared_width") for row in rows] == [640, None]
    assert [row.get("declared_height") for row in rows] == [480, None]
    assert "license" not in rows[0]
    assert "expected_hash" not in rows[0]  # its hash is not of the picture


def test_coyo700m(tmp_path: Path) -> None:
    assert read(write_parquet(tmp_path / "a.parquet", COYO), "coyo700m") == [
        {
            "url": COYO["url"][0],
            "caption": COYO["text"][0],
            "declared_width": 1000,
            "declared_height": 988,
        }
    ]


def test_datacomp_says_what_the_bytes_must_be_and_where_faces_are(tmp_path: Path) -> None:
    rows = read(write_parquet(tmp_path / "a.parquet", DATACOMP), "datacomp")

    assert rows[0] == {
        "url": "https://images.example.com/a.jpg",
        "caption": "Two people at a table",
        "expected_hash": f"sha256:{DATACOMP_SHA256}",
        "face_boxes": [0.25, 0.125, 0.5, 0.375, 0.5, 0.25, 0.75, 0.5],
        "declared_width": 800,
        "declared_height": 600,
    }
    assert "face_boxes" not in rows[1]


def test_every_dialect_has_a_test_here() -> None:
    here = Path(__file__).read_text()
    assert [name for name in DIALECTS if f'"{name}"' not in here] == []


@pytest.mark.parametrize("dialect", ["cc3m", "cc12m", "yfcc100m"])
def test_a_file_of_another_dialect_is_refused(tmp_path: Path, dialect: str) -> None:
    (tmp_path / "a.tsv").write_text("one\ttwo\tthree\n")
    with pytest.raises(ValueError, match=f"begins with 3 columns, and the dialect {dialect} has"):
        read(tmp_path / "a.tsv", dialect)


@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", pack_zstd),
    ],
)
@pytest.mark.parametrize("name", ["a.tsv", "a.jsonl", "a.csv"])
def test_a_packed_table_is_read_like_a_plain_one(
    tmp_path: Path, name: str, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    content = {
        "a.tsv": b"url\tcaption\nhttp://a/\ta\n",
        "a.jsonl": b'{"url": "http://a/", "caption": "a"}\n',
        "a.csv": b"url,caption\nhttp://a/,a\n",
    }[name]
    path = tmp_path / (name + ending)
    path.write_bytes(pack(content))

    [row] = read_rows(Source(str(path)))

    assert row.url in (b"http://a/", "http://a/")
    assert row.caption in (b"a", "a")


def test_a_zstd_table_of_several_frames_is_read_whole_and_half_a_one_refused(
    tmp_path: Path,
) -> None:
    frames = pack_zstd(b"url,caption\nhttp://a/,a\n") + pack_zstd(b"http://b/,b\n")
    (tmp_path / "a.csv.zst").write_bytes(frames)
    (tmp_path / "b.csv.zst").write_bytes(frames[:-2])

    assert len(list(read_rows(Source(str(tmp_path / "a.csv.zst"))))) == 2
    with pytest.raises(ValueError, match="b.csv.zst cannot be read as csv: Truncated"):
        list(read_rows(Source(str(tmp_path / "b.csv.zst"))))


def test_a_row_of_nothing_but_tabs_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("\t\n")
    assert list(read_rows(Source(str(tmp_path / "a.tsv"), dialect=DIALECTS["cc3m"]))) == [
        Row(b"", b"")
    ]
