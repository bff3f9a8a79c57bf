import io
import json
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.export import main
from pipelines.exporting import export as exporting
from pipelines.exporting.export import ExportSettings, cut
from tokens.manifest import FileEntry, read_manifest, read_table

GROUPS = ("train/view0", "train/view1", "val/view0")


@pytest.fixture
def build(finished_build: Path) -> Path:
    return finished_build


def export(build: Path, out: Path, kind: str, *more: str) -> int:
    return main([str(build), "--format", kind, "--out", str(out), "--shard_rows", "4", *more])


def read_rows(build: Path, group: str) -> list[dict[str, Any]]:
    folder = str(build / "tokens")
    entries = read_manifest(folder).group(group)
    return pa.concat_tables(read_table(folder, entry) for entry in entries).to_pylist()


def read_files(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def read_tars(folder: Path) -> Iterator[dict[str, bytes]]:
    """Samples by WebDataset's rule: neighbours whose names agree up to the first dot."""
    sample: dict[str, bytes] = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, ending = member.name.partition(".")
                if sample and sample["__key__"] != key.encode():
                    yield sample
                    sample = {}
                file = tar.extractfile(member)
                assert file is not None
                sample |= {"__key__": key.encode(), ending: file.read()}
    yield sample


def read_mds(folder: Path) -> Iterator[dict[str, Any]]:
    """Samples by the format's own description; see the head of pipelines/exporting/mds.py."""
    index = json.loads((folder / "index.json").read_text())
    for shard in index["shards"]:
        data = (folder / shard["raw_data"]["basename"]).read_bytes()
        assert len(data) == shard["raw_data"]["bytes"]
        count = int.from_bytes(data[:4], "little")
        assert count == shard["samples"]
        offsets = np.frombuffer(data, "<u4", count + 1, 4).tolist()
        header = json.loads(data[4 + 4 * (count + 1) : offsets[0]])
        assert header.items() <= shard.items() and offsets[-1] == len(data)
        for start, stop in zip(offsets, offsets[1:], strict=False):
            yield dict(read_sample(data[start:stop], header))


def read_sample(data: bytes, header: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    columns = list(
        zip(*(header[f"column_{part}"] for part in ("names", "encodings", "sizes")), strict=True)
    )
    lengths = iter(np.frombuffer(data, "<u4", sum(size is None for _, _, size in columns)))
    at = 4 * sum(size is None for _, _, size in columns)
    for name, encoding, size in columns:
        size = int(next(lengths)) if size is None else size
        yield name, decode(encoding, data[at : at + size])
        at += size
    assert at == len(data)


def decode(encoding: str, data: bytes) -> Any:
    kind, *more = encoding.split(":")
    if kind != "ndarray":
        return {"str": bytes.decode, "json": json.loads}[kind](data)
    if len(more) == 2:
        return np.frombuffer(data, more[0])
    assert data[0] >> 2 == 1  # axes
    wide = 1 << (data[0] & 3)
    array = np.frombuffer(data[1 + wide :], more[0])
    assert len(array) == int.from_bytes(data[1 : 1 + wide], "little")
    return array


@pytest.mark.parametrize("group", GROUPS)
def test_a_tar_holds_what_the_shards_hold(build: Path, tmp_path: Path, group: str) -> None:
    assert export(build, tmp_path, "webdataset") == 0
    rows = read_rows(build, group)
    assert len(list((tmp_path / group).iterdir())) == -(-len(rows) // 4)
    for sample, row in zip(read_tars(tmp_path / group), rows, strict=True):
        assert sample["__key__"].decode() == f"{row['pair_id'].hex()}-{row['view']}"
        assert np.load(io.BytesIO(sample["codes.npy"])).tolist() == row["image_codes"]
        assert np.load(io.BytesIO(sample["codes.npy"])).dtype == np.uint16
        assert np.load(io.BytesIO(sample["text.npy"])).tolist() == row["text_tokens"]
        assert sample["txt"].decode() == row["caption"]
        check_facts(json.loads(sample["json"]), row)


def check_facts(facts: dict[str, Any], row: dict[str, Any]) -> None:
    names = set(row) - {"text_tokens", "image_codes", "caption"}
    as_hex = {name: row[name].hex() for name in ("pair_id", "sha256") if name in row}
    assert facts == {name: row[name] for name in names} | as_hex
    assert ("url" in facts) == (row["view"] == 0)


@pytest.mark.parametrize("group", GROUPS)
def test_mds_holds_what_the_shards_hold(build: Path, tmp_path: Path, group: str) -> None:
    assert export(build, tmp_path, "mds") == 0
    rows = read_rows(build, group)
    for sample, row in zip(read_mds(tmp_path / group), rows, strict=True):
        assert sample["image_codes"].tolist() == row["image_codes"]
        assert sample["text_tokens"].tolist() == row["text_tokens"]
        assert sample["caption"] == row["caption"]
        check_facts(sample["facts"], row)


@pytest.mark.parametrize("kind", ["webdataset", "mds"])
def test_the_same_tokens_give_the_same_bytes(build: Path, tmp_path: Path, kind: str) -> None:
    for name in "ab":
        assert export(build, tmp_path / name, kind) == 0
    first = read_files(tmp_path / "a")
    assert first == read_files(tmp_path / "b") and len(first) > 4


@pytest.mark.parametrize("kind", ["webdataset", "mds"])
def test_goes_on_where_it_was_stopped(
    build: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert export(build, tmp_path / "whole", kind) == 0
    real = exporting.put_file
    written: list[str] = []

    def put_three(url: str, data: bytes) -> None:
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(url)
        real(url, data)

    monkeypatch.setattr(exporting, "put_file", put_three)
    with pytest.raises(KeyboardInterrupt):
        export(build, tmp_path / "cut", kind)
    assert not json.loads((tmp_path / "cut" / "export.json").read_text())["complete"]
    done = Path(written[1])
    done.with_name("half.part").write_bytes(b"half")
    before = os.stat(done).st_mtime_ns
    monkeypatch.setattr(exporting, "put_file", real)
    assert export(build, tmp_path / "cut", kind) == 0
    assert os.stat(done).st_mtime_ns == before
    found = {n: d for n, d in read_files(tmp_path / "cut").items() if not n.endswith(".part")}
    assert found == read_files(tmp_path / "whole")


def test_nothing_is_written_into_the_build_where_no_purge_would_reach_it(
    build: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(build, build / "tokens" / "mds", "mds") == 2
    assert "lies in the build" in capsys.readouterr().err
    assert not (build / "tokens" / "mds").exists()


def test_one_view_alone_is_written_with_the_validation_pairs(build: Path, tmp_path: Path) -> None:
    assert export(build, tmp_path, "mds", "--view", "1") == 0
    assert {path.parent.name for path in tmp_path.glob("*/*/index.json")} == {"view0", "view1"}
    assert not (tmp_path / "train" / "view0").exists() and (tmp_path / "val" / "view0").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        pytest.param(("--view", "2"), "--view is 2, but .* have 2 views", id="no such view"),
        pytest.param(("--shard_rows", "0"), "--shard_rows is 0; a file has 1 to", id="no rows"),
        pytest.param(("--out", "{full}"), "is not empty and holds no export", id="a full folder"),
        pytest.param(("--out", "{other}"), "holds an export of other tokens or", id="another's"),
    ],
)
def test_bad_input_is_one_sentence(
    build: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, str],
    message: str,
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("all my work")
    export(build, tmp_path / "other", "webdataset")
    capsys.readouterr()
    places = {name: str(tmp_path / name) for name in ("full", "other")}
    code = export(build, tmp_path / "new", "mds", *(one.format(**places) for one in more))
    told = capsys.readouterr().err
    assert code == 2 and told.count("\n") == 1
    assert re.search(message, told)


def test_a_folder_without_tokens_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(tmp_path / "build", tmp_path / "out", "mds") == 2
    assert "tokens/manifest.json is not there" in capsys.readouterr().err


def test_a_file_takes_its_rows_from_all_shards_that_hold_some() -> None:
    entries = tuple(FileEntry(f"{n}", "", n, rows, 0, "") for n, rows in enumerate((5, 5, 2)))
    assert list(cut(entries, 3, 8)) == [(0, 3, 2), (1, 0, 5), (2, 0, 1)]
    assert list(cut(entries, 10, 2)) == [(2, 0, 2)]


def test_a_file_never_has_more_rows_than_mds_can_count_the_bytes_of() -> None:
    with pytest.raises(ValueError, match="a file has 1 to 262144 samples"):
        ExportSettings("mds", None, (1 << 18) + 1)
