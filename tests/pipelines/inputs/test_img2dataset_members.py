"""Pictures come out of a shard, or their rows say why not; a hostile shard harms nobody."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.inputs.img2dataset_members import read_members
from pipelines.web.client import Fetched

MAX_BYTES = 1000


def as_tar(path: Path, bodies: dict[str, bytes]) -> str:
    with tarfile.open(path / "00000.tar", "w") as tar:
        for key, body in bodies.items():
            for ending, content in (("jpg", body), ("txt", b"caption"), ("json", b"{}")):
                info = tarfile.TarInfo(f"{key}.{ending}")
                info.size, info.mtime = len(content), 1.5  # as webdataset: an extension header each
                tar.addfile(info, io.BytesIO(content))
    return str(path / "00000.tar")


def as_files(path: Path, bodies: dict[str, bytes]) -> str:
    (path / "00000").mkdir()
    for key, body in bodies.items():
        (path / "00000" / f"{key}.webp").write_bytes(body)
        (path / "00000" / f"{key}.txt").write_text("caption")
    return str(path / "00000")


def as_table(path: Path, bodies: dict[str, bytes]) -> str:
    column = pa.array([*bodies.values(), None], pa.binary())
    pq.write_table(pa.table({"png": column}), path / "00000.parquet", row_group_size=2)
    return str(path / "00000.parquet")


WRITERS = (as_tar, as_files, as_table)


def outcomes(shard: str, *members: str) -> dict[str, str]:
    return {member: one.outcome for member, one in read_members(shard, members, MAX_BYTES)}


@pytest.mark.parametrize("write", WRITERS)
def test_each_member_is_brought_once_in_whatever_order(
    tmp_path: Path, write: Callable[[Path, dict[str, bytes]], str]
) -> None:
    bodies = {str(number): b"body %d" % number for number in range(5)}
    shard = write(tmp_path, bodies)

    assert dict(read_members(shard, ["3", "0", "4"], MAX_BYTES)) == {
        member: Fetched("ok", bodies[member]) for member in ("0", "3", "4")
    }
    assert outcomes(f"file://{shard}", "1") == {"1": "ok"}
    assert outcomes(shard) == {}


@pytest.mark.parametrize("write", WRITERS)
def test_size_decides(tmp_path: Path, write: Callable[[Path, dict[str, bytes]], str]) -> None:
    shard = write(tmp_path, {"0": b"", "1": bytes(MAX_BYTES), "2": bytes(MAX_BYTES + 1)})

    assert outcomes(shard, "0", "1", "2", "3", "44") == {
        "0": "empty_body",
        "1": "ok",
        "2": "body_too_large",
        "3": "truncated_body",
        "44": "truncated_body",
    }


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    shard = as_tar(tmp_path, {})

    [(_, fetched)] = read_members(shard, ["7"], MAX_BYTES)

    assert fetched == Fetched("truncated_body", signal=f"7 is not in {shard}")


@pytest.mark.parametrize("write", [as_tar, as_table])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.8])
def test_a_shard_that_was_cut_off_loses_the_rows_behind(
    tmp_path: Path, write: Callable[[Path, dict[str, bytes]], str], kept: float
) -> None:
    shard = Path(write(tmp_path, {str(number): bytes(700) for number in range(20)}))
    shard.write_bytes(shard.read_bytes()[: int(shard.stat().st_size * kept)])

    ends = outcomes(str(shard), *map(str, range(20)))

    assert len(ends) == 20
    assert set(ends.values()) <= {"ok", "truncated_body"}
    assert ends["19"] == "truncated_body"


def test_the_rows_behind_a_cut_may_be_far_from_the_last(tmp_path: Path) -> None:
    shard = Path(as_tar(tmp_path, {"0": bytes(700), "1": bytes(700)}))
    whole = shard.read_bytes()
    shard.write_bytes(whole[: whole.rindex(b"1.jpg") + 512 + 300])

    assert outcomes(str(shard), "0", "1") == {"0": "ok", "1": "truncated_body"}


def test_a_shard_that_is_gone_is_no_rows_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="must stay where it was"):
        list(read_members(str(tmp_path / "00000.tar"), ["0"], MAX_BYTES))


def add(tar: tarfile.TarFile, name: str, body: bytes = b"", **marks: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(body)
    for mark, value in marks.items():
        setattr(info, mark, value)
    tar.addfile(info, io.BytesIO(body))


@pytest.mark.parametrize(
    "marks",
    [
        pytest.param({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, id="symbolic link"),
        pytest.param({"type": tarfile.LNKTYPE, "linkname": "1.jpg"}, id="hard link"),
        pytest.param({"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}, id="device"),
        pytest.param({"type": tarfile.FIFOTYPE}, id="pipe"),
        pytest.param({"type": tarfile.DIRTYPE}, id="folder"),
        pytest.param({"type": tarfile.GNUTYPE_SPARSE, "size": 0}, id="sparse"),
    ],
)
def test_only_plain_members_are_pictures(tmp_path: Path, marks: dict[str, object]) -> None:
    with tarfile.open(tmp_path / "0.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        add(tar, "0.jpg", **marks)
        add(tar, "1.jpg", b"one")

    assert outcomes(str(tmp_path / "0.tar"), "0", "1") == {"0": "truncated_body", "1": "ok"}


@pytest.mark.parametrize(
    "name", ["../0.jpg", "/0.jpg", "a/0.jpg", "0.jpg/", "0.jpg.exe", "0", ".jpg", "\u0660.jpg"]
)
def test_no_other_name_is_taken_for_a_member(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        add(tar, name, b"body")

    assert outcomes(str(tmp_path / "0.tar"), "0", "") == {
        "0": "truncated_body",
        "": "truncated_body",
    }


def test_the_first_of_two_members_counts(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        add(tar, "0.jpg", b"first")
        add(tar, "0.png", b"second")

    assert dict(read_members(str(tmp_path / "0.tar"), ["0"], MAX_BYTES)) == {
        "0": Fetched("ok", b"first")
    }


@pytest.mark.parametrize("size", [b"77777777777\0", b"\xff" * 12, b"-0000000001\0", b"\0" * 12])
@pytest.mark.parametrize("mark", [b"0", b"x", b"g", b"L", b"S"])
def test_a_length_that_lies_ends_the_reading(tmp_path: Path, size: bytes, mark: bytes) -> None:
    shard = Path(as_tar(tmp_path, {"1": b"one"}))
    lie = bytearray(tarfile.TarInfo("0.jpg").tobuf(tarfile.USTAR_FORMAT))
    lie[124:136], lie[156:157] = size, mark
    shard.write_bytes(bytes(lie) + shard.read_bytes())

    ends = outcomes(str(shard), "0", "1")

    assert ends["1"] == "truncated_body"
    assert ends["0"] in ("truncated_body", "body_too_large")


def test_only_plain_files_of_a_folder_are_pictures(tmp_path: Path) -> None:
    shard = Path(as_files(tmp_path, {"0": b"zero"}))
    (shard / "1.jpg").symlink_to("/etc/hostname")
    (shard / "2.jpg").mkdir()
    os.mkfifo(shard / "3.jpg")

    assert outcomes(str(shard), "0", "1", "2", "3", "../00000/0") == {
        "0": "ok",
        **dict.fromkeys(("1", "2", "3", "../00000/0"), "truncated_body"),
    }


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(pa.table({"key": ["0"]}), id="no picture column"),
        pytest.param(pa.table({"jpg": [[1, 2]]}), id="another type"),
    ],
)
def test_a_table_of_something_else_has_no_pictures(tmp_path: Path, table: pa.Table) -> None:
    pq.write_table(table, tmp_path / "0.parquet")

    assert outcomes(str(tmp_path / "0.parquet"), "0") == {"0": "truncated_body"}


@given(st.binary(max_size=3000), st.sampled_from([".tar", ".parquet"]))
def test_any_bytes_for_a_shard_cost_rows_alone(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, ending: str
) -> None:
    shard = tmp_path_factory.mktemp("any") / f"0{ending}"
    shard.write_bytes(content)

    assert set(outcomes(str(shard), "0", "1")) == {"0", "1"}
