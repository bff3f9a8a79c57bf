"""Any table of URLs and captions becomes the same units, or one sentence says why not."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sources import Columns, Source, cut_rows, make_rows_table, read_rows
from tokens.manifest import Manifest, read_table

ROWS = [("http://a/1.png", 'one, "two"'), ("http://a/2.png", "drei\nvier"), ("", "ü")]


def write_csv(path: Path) -> None:
    path.write_text(
        "url,caption\n"
        + "".join(f'{url},"{caption.replace(chr(34), chr(34) * 2)}"\n' for url, caption in ROWS)
    )


def write_parquet(path: Path) -> None:
    urls, captions = zip(*ROWS, strict=True)
    pq.write_table(pa.table({"caption": captions, "url": urls}), path)


def write_jsonl(path: Path) -> None:
    path.write_text("".join(json.dumps({"url": u, "caption": c}) + "\n" for u, c in ROWS))


def decoded(source: Source) -> list[tuple[str, str]]:
    table = make_rows_table(list(read_rows(source)), 0, 0)
    return list(zip(table["url"].to_pylist(), table["caption"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.csv", write_csv), ("a.parquet", write_parquet), ("a.jsonl", write_jsonl)],
)
def test_rows_come_through_as_they_are(tmp_path: Path, name: str, write: object) -> None:
    write(tmp_path / name)
    assert decoded(Source(str(tmp_path / name))) == ROWS


def test_a_gzipped_table_is_read_like_a_plain_one(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    assert decoded(Source(str(tmp_path / "b.csv.gz"))) == ROWS


def test_quotation_marks_in_a_tsv_are_plain_characters(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('caption\turl\n"a" 5" pipe\thttp://a/\n')
    assert decoded(Source(str(tmp_path / "a.tsv"))) == [("http://a/", '"a" 5" pipe')]


def test_a_short_row_lacks_its_last_cells_and_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("url,caption\nhttp://a/\nhttp://b/,b\n")
    assert decoded(Source(str(tmp_path / "a.csv"))) == [("http://a/", None), ("http://b/", "b")]


def test_bytes_that_are_no_utf8_are_marked(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"url,caption\nhttp://a/,caf\xe9\nhttp://b/,caf\xc3\xa9\n")
    table = make_rows_table(list(read_rows(Source(str(tmp_path / "a.csv")))), 0, 0)
    assert table["invalid_utf8"].to_pylist() == [True, False]
    assert table["caption"].to_pylist() == ["caf\ufffd", "caf\u00e9"]


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=5))
def test_any_text_of_a_json_table_is_a_row(rows: list[tuple[str, str]]) -> None:
    table = make_rows_table([(url, caption, None) for url, caption in rows], 2, 7)
    assert table["row"].to_pylist() == list(range(7, 7 + len(rows)))
    assert table["source"].to_pylist() == [2] * len(rows)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param(
            "a.csv", b"link,text\n1,2\n", "has no column 'url'; it has 'link', 'text'", id="csv"
        ),
        pytest.param("a.jsonl", b'{"link": 1}\n', "has no column 'url'", id="jsonl without column"),
        pytest.param("a.jsonl", b'{"url": 1\n', "line 1, is not JSON", id="broken jsonl"),
        pytest.param(
            "a.parquet", b"PAR1 nonsense", "cannot be read as parquet", id="broken parquet"
        ),
        pytest.param("a.csv.gz", b"nonsense", "cannot be read as csv", id="broken gzip"),
        pytest.param("a.csv", b"", "has no column 'url'; it has none", id="empty file"),
        pytest.param("a.xlsx", b"", "ending .xlsx is none of", id="unknown format"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(read_rows(Source(str(tmp_path / name))))


def cut(
    tmp_path: Path,
    *names: str,
    unit_rows: int = 2,
    limit: int | None = None,
    fetch: str = "f",
    columns: Columns = Columns(),
) -> Manifest:
    sources = [Source(str(tmp_path / name), columns) for name in names]
    return cut_rows(
        str(tmp_path / "out"),
        sources,
        unit_rows=unit_rows,
        limit=limit,
        recipe={},
        fetch_sha256=fetch,
    )


def test_units_are_cut_by_position(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv")
    write_jsonl(tmp_path / "b.jsonl")
    manifest = cut(tmp_path, "a.csv", "b.jsonl")
    assert [(entry.index, entry.rows) for entry in manifest.files] == [
        (0, 2),
        (1, 1),
        (2, 2),
        (3, 1),
    ]
    table = read_table(str(tmp_path / "out" / "rows"), manifest.files[3])
    assert table.select(["source", "row"]).to_pylist() == [{"source": 1, "row": 2}]


def test_a_limit_is_a_beginning_that_a_later_build_goes_on_from(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv")
    some = cut(tmp_path, "a.csv", limit=2)
    everything = cut(tmp_path, "a.csv")
    assert [entry.rows for entry in some.files] == [2]
    assert everything.files[0] == some.files[0]
    assert everything.rows == 3


def test_a_limit_counts_over_all_sources(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv")
    write_jsonl(tmp_path / "b.jsonl")
    assert cut(tmp_path, "a.csv", "b.jsonl", limit=4).rows == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"unit_rows": 3}, "was built with unit_rows = 2", id="unit size"),
        pytest.param({"fetch": "g"}, r"another \[fetch\] section", id="fetch section"),
        pytest.param(
            {"columns": Columns("caption", ("url",))}, "another source list", id="columns"
        ),
    ],
)
def test_another_build_in_the_same_folder_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    write_csv(tmp_path / "a.csv")
    cut(tmp_path, "a.csv")
    with pytest.raises(ValueError, match=message):
        cut(tmp_path, "a.csv", **change)


def test_a_changed_source_is_another_source(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv")
    cut(tmp_path, "a.csv")
    with (tmp_path / "a.csv").open("a") as file:
        file.write("http://a/3.png,three\n")
    with pytest.raises(ValueError, match="another source list"):
        cut(tmp_path, "a.csv")


def test_a_table_that_breaks_off_leaves_nothing_half_written(tmp_path: Path) -> None:
    lines = [json.dumps({"url": "http://a/", "caption": str(n)}) for n in range(5)]
    (tmp_path / "a.jsonl").write_text("\n".join([*lines, "{"]))
    with pytest.raises(ValueError, match="line 6"):
        cut(tmp_path, "a.jsonl")
    assert not (tmp_path / "out" / "rows").exists()


SHA256, MD5 = "ab" * 32, "cd" * 16


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        pytest.param({"sha256": SHA256}, f"sha256:{SHA256}", id="sha256"),
        pytest.param({"md5": MD5}, f"md5:{MD5}", id="md5"),
        pytest.param({"md5": MD5, "sha256": SHA256}, f"sha256:{SHA256}", id="sha256 wins"),
        pytest.param({"md5": MD5, "sha256": None}, f"md5:{MD5}", id="md5 where it is alone"),
        pytest.param(
            {"sha256": f" {SHA256.upper()} "}, f"sha256:{SHA256}", id="as they are written"
        ),
        pytest.param({"sha256": "none"}, "sha256:none", id="no digest is matched by nothing"),
        pytest.param({"sha256": ""}, None, id="an empty cell asks for nothing"),
        pytest.param({"other": SHA256}, None, id="no such column"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_list_may_say_what_a_picture_must_be(
    tmp_path: Path, ending: str, cells: dict[str, str | None], expected: str | None
) -> None:
    row = {"url": "http://a/", "caption": "a"} | cells
    path = tmp_path / f"a.{ending}"
    if ending == "csv":
        path.write_text(",".join(row) + "\n" + ",".join(cell or "" for cell in row.values()))
    elif ending == "jsonl":
        path.write_text(json.dumps(row))
    else:
        pq.write_table(pa.Table.from_pylist([row]), path)

    assert make_rows_table(list(read_rows(Source(str(path)))), 0, 0)[
        "expected_hash"
    ].to_pylist() == [expected]


def test_digests_may_be_bytes_and_what_is_none_of_text_is_none(tmp_path: Path) -> None:
    table = {
        "url": ["http://a/", "http://b/"],
        "caption": ["a", "b"],
        "sha256": pa.array([bytes.fromhex(SHA256), None], pa.binary(32)),
        "md5": pa.array([7, 7], pa.int64()),
    }
    pq.write_table(pa.table(table), tmp_path / "a.parquet")

    rows = list(read_rows(Source(str(tmp_path / "a.parquet"))))

    assert [row.expected_hash for row in rows] == [f"sha256:{SHA256}", "md5:7"]
