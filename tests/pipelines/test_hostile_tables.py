"""A table that would take all memory is refused with its name."""

from pathlib import Path

import pytest

from pipelines.source_tables import MAX_FIELD_BYTES
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
