"""A file is there whole or not at all, and a manifest follows another."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.commit import (
    Output,
    Written,
    commit_file,
    commit_table,
    current_manifest,
    make_key,
    publish,
    read_record,
)
from tokens.manifest import FileEntry, Manifest, read_manifest


def make_manifest(*files: FileEntry) -> Manifest:
    return Manifest("fetch", 0, files, {"ok": 1}, {}, "hash", {})


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "disk" else f"memory://{tmp_path}"


def test_a_record_says_what_was_written(folder: str) -> None:
    output = Output(folder, "unit.bin", "train/view0", 3)
    entry = commit_file(output, lambda sink: sink.write(b"abc") and None, Written(1, {"ok": 1}))
    assert entry == FileEntry(
        "unit.bin", "train/view0", 3, 1, 3, hashlib.sha256(b"abc").hexdigest(), {"ok": 1}
    )
    assert read_record(output) == entry


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(sink: object) -> None:
        raise OSError(28, "No space left on device")

    output = Output(str(tmp_path / "pairs"), "unit.bin")
    with pytest.raises(OSError, match="No space left"):
        commit_file(output, fail, Written(1))
    assert list((tmp_path / "pairs").iterdir()) == []
    assert read_record(output) is None


def test_a_file_without_its_record_is_not_finished(tmp_path: Path) -> None:
    output = Output(str(tmp_path), "unit.bin")
    commit_file(output, lambda sink: sink.write(b"abc") and None, Written(1))
    (tmp_path / "unit.bin.json").unlink()
    assert read_record(output) is None


@pytest.mark.parametrize("damage", ["missing", "short"])
def test_a_record_whose_file_is_not_whole_does_not_count(tmp_path: Path, damage: str) -> None:
    output = Output(str(tmp_path), "unit.bin")
    commit_file(output, lambda sink: sink.write(b"abc") and None, Written(1))
    (tmp_path / "unit.bin").unlink()
    if damage == "short":
        (tmp_path / "unit.bin").write_bytes(b"ab")
    assert read_record(output) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"entry": {}}', '{"entry": {"name": 1}}'])
def test_a_record_that_is_torn_does_not_count(tmp_path: Path, text: str) -> None:
    output = Output(str(tmp_path), "unit.bin")
    commit_file(output, lambda sink: sink.write(b"abc") and None, Written(1))
    (tmp_path / "unit.bin.json").write_text(text)
    assert read_record(output) is None


def test_a_flipped_bit_in_a_table_is_noticed(tmp_path: Path) -> None:
    data = hashlib.shake_128(b"seed").digest(4000)
    table = pa.table({"image": [data]})
    commit_table(Output(str(tmp_path), "unit.parquet"), table, Written(1))
    path = tmp_path / "unit.parquet"
    raw = bytearray(path.read_bytes())
    raw[raw.index(data[1000:1010])] ^= 1
    path.write_bytes(raw)
    with pytest.raises(OSError, match="checksum|CRC"):
        pq.read_table(path, page_checksum_verification=True)


def test_publishing_twice_is_publishing_once(folder: str) -> None:
    first = publish(folder, make_manifest())
    assert publish(folder, make_manifest()) == first
    assert read_manifest(folder).generation == 1


def test_the_generation_before_is_kept(folder: str) -> None:
    first = publish(folder, make_manifest())
    second = publish(folder, make_manifest(FileEntry("a", "", 0, 1, 1, "hash", {"ok": 1})))
    assert (first.generation, second.generation) == (1, 2)
    assert current_manifest(folder) == second


def test_a_folder_without_a_manifest_has_no_current_one(folder: str) -> None:
    assert current_manifest(folder) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "files": [1]}'])
def test_what_is_no_manifest_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match="manifest.json is not a pairmill manifest"):
        read_manifest(str(tmp_path))


def test_keys_differ_where_parts_are_cut_elsewhere() -> None:
    assert make_key("ab", "c") != make_key("a", "bc")
