"""A table that would take all memory is refused with its name."""

import gzip
from pathlib import Path

import pytest

from pipelines.inputs.source_tables import MAX_FIELD_BYTES, MAX_LINE_BYTES
from pipelines.sources import Source, read_rows


def write_cell(folder: Path, cell_bytes: int) -> Source:
    path = folder / "table.csv"
    path.write_bytes(b'url,caption\nhttp://h.example/a.jpg,"' + b"a" * cell_bytes + b'"\n')
    return Source(str(path))


def test_takes_a_cell_of_the_largest_size(tmp_path: Path) -> None:
    (row,) = read_rows(write_cell(tmp_path, MAX_FIELD_BYTES))

    assert len(row.caption) == MAX_FIELD_BYTES


def test_refuses_a_cell_beyond_it_as_an_unclosed_quotation_mark(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"table\.csv cannot be read as csv"):
        list(read_rows(write_cell(tmp_path, MAX_FIELD_BYTES + 1)))


@pytest.mark.parametrize(
    ("name", "first"),
    [("a.csv.gz", b"url,caption\n"), ("a.jsonl.gz", b'{"url": "u", "caption": "a"}\n')],
)
def test_refuses_a_line_without_end_before_it_fills_the_memory(
    tmp_path: Path, name: str, first: bytes
) -> None:
    with gzip.open(tmp_path / name, "wb", compresslevel=1) as file:
        file.write(first)
        for _ in range(MAX_LINE_BYTES // 2**20 + 1):
            file.write(bytes(2**20))

    with pytest.raises(ValueError, match="line 2, is longer than 67108864 bytes"):
        list(read_rows(Source(str(tmp_path / name))))
