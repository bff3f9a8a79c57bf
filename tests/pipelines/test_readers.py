"""Shards of a build are read as they are by other people's readers, column for column."""

import importlib
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokens.manifest import join_url, read_manifest

GROUPS = ("train/view0", "train/view1", "val/view0")


@pytest.fixture
def tokens(finished_build: Path) -> Path:
    return finished_build / "tokens"


def files(tokens: Path, group: str) -> list[str]:
    entries = read_manifest(str(tokens)).group(group)
    return [join_url(str(tokens), entry.name) for entry in entries]


def rows(tokens: Path, group: str) -> list[dict[str, Any]]:
    """As pyarrow reads them."""
    found = pa.concat_tables(pq.read_table(file) for file in files(tokens, group)).to_pylist()
    assert found and all(row["caption"] and row["text_tokens"] for row in found)
    assert all(len(row["pair_id"]) == 16 and len(row["image_codes"]) == 64 for row in found)
    return found


@pytest.mark.parametrize("group", GROUPS)
def test_duckdb_reads_a_builds_shards(tokens: Path, group: str) -> None:
    with duckdb.connect() as connection:
        found = connection.read_parquet(files(tokens, group)).to_arrow_table().to_pylist()
    assert found == rows(tokens, group)


@pytest.mark.parametrize("group", GROUPS)
def test_polars_reads_a_builds_shards(tokens: Path, group: str) -> None:
    frame = polars.read_parquet(files(tokens, group))
    assert isinstance(frame.schema["image_codes"], polars.Array)
    assert frame.to_dicts() == rows(tokens, group)


@pytest.mark.parametrize("group", GROUPS)
def test_datasets_reads_a_builds_shards(
    tokens: Path, group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    datasets = importlib.import_module("datasets")
    # its variables are read when it is imported, and other tests may have done that
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", False)
    found = datasets.load_dataset(
        "parquet", data_files=files(tokens, group), split="train", cache_dir=str(tmp_path)
    )
    assert found.to_list() == rows(tokens, group)
