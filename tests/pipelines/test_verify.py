"""Every fault of a file is found, named and ends with exit code 1 (list I03)."""

import re
import shutil

import pyarrow.parquet as pq
import pytest

from pipelines.verify import main
from tests.pipelines.made_stages import make_build, make_stage


@pytest.fixture
def build(tmp_path):
    return tmp_path, make_build(tmp_path)


def verify(directory, capsys):
    code = main([str(directory)])
    return code, capsys.readouterr().out


def test_a_sound_build_passes(build, capsys):
    directory, _ = build
    code, told = verify(directory, capsys)
    assert code == 0
    assert re.fullmatch(r"9 files, [\d,]+ bytes: all as the manifests say\n", told)


def flip_in(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def in_the_text(path):
    """Somewhere in the pages of the column `text`."""
    column = pq.ParquetFile(path).metadata.row_group(0).column(1)
    return column.dictionary_page_offset + column.total_compressed_size // 2


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (lambda path: flip_in(path, in_the_text(path)), "changed: row group 0, column text"),
        (lambda path: flip_in(path, -1), "changed: its Parquet footer cannot be read"),
        (lambda path: flip_in(path, 2), "changed: its"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "the manifest says .*: truncated"),
        (lambda path: path.write_bytes(path.read_bytes() + b"0"), "longer than it was written"),
        (lambda path: path.write_bytes(b""), "^.*: 0 bytes where .*: truncated"),
        (lambda path: path.unlink(), "missing"),
    ],
    ids=["bit of a page", "bit of the end", "bit of the start", "cut", "grown", "empty", "gone"],
)
def test_names_the_damaged_file_and_the_cause(build, capsys, damage, cause):
    directory, made = build
    name = made["pairs"].files[1].name
    damage(directory / "pairs" / name)
    code, told = verify(directory, capsys)
    assert code == 1
    first, *_, verdict, remedy = told.splitlines()
    assert re.search(rf"/pairs/{name}: .*{cause.removeprefix('^.*: ')}", first)
    assert verdict.endswith("1 of them damaged")
    assert "delete it and its folder's manifest.json" in remedy


def test_names_two_files_that_changed_places(build, capsys):
    directory, made = build
    one, other = (directory / "pairs" / entry.name for entry in made["pairs"].files[:2])
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    code, told = verify(directory, capsys)
    assert code == 1
    assert f"{one}: holds what belongs to {other.name}" in told
    assert f"{other}: holds what belongs to {one.name}" in told


def test_names_an_older_version(build, capsys):
    directory, made = build
    newer = make_stage(directory, "pairs", {"rows": made["rows"]}, salt="again")
    old, new = (directory / "pairs" / one.files[0].name for one in (made["pairs"], newer))
    shutil.copy(old, new)
    code, told = verify(directory, capsys)
    assert code == 1
    assert f"{new}: is what generation 1 held as {old.name}" in told


def test_names_a_file_that_is_none_of_ours(build, capsys):
    directory, _ = build
    (directory / "pairs" / "notes.txt").write_text("mine")
    code, told = verify(directory, capsys)
    assert code == 1
    assert f"{directory}/pairs/notes.txt: foreign, none of ours" in told


def test_an_earlier_generation_is_told_and_is_no_fault(build, capsys):
    directory, made = build
    make_stage(directory, "pairs", {"rows": made["rows"]}, salt="again")
    code, told = verify(directory, capsys)
    assert code == 0
    assert told.count(": stale, of an earlier generation") == 6  # three units, three records
    assert "signals was made of other pairs than are there now: run pipelines.build" in told


def test_many_strays_are_counted(build, capsys):
    directory, _ = build
    for number in range(25):
        (directory / "rows" / f"{number}.txt").touch()
    _, told = verify(directory, capsys)
    assert told.count(": foreign") == 20
    assert "and 5 more that are foreign" in told


@pytest.mark.parametrize("text", ["{}", "no JSON", '{"format": 1, "files": 3}'])
def test_a_broken_manifest_is_bad_input(build, capsys, text):
    directory, _ = build
    (directory / "pairs" / "manifest.json").write_text(text)
    assert main([str(directory)]) == 2
    assert "pairs/manifest.json is not a pairmill manifest" in capsys.readouterr().err


def test_a_folder_without_a_build_is_bad_input(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "holds no finished stage" in capsys.readouterr().err
