"""What no manifest names goes, and nothing else (list R08)."""

import os
import time
from pathlib import Path

import pytest

from pipelines.gc import main
from pipelines.lock import hold_lock
from pipelines.verify import main as verify
from tests.pipelines.made_stages import make_build, make_stage, make_units

STRAYS = (
    "pairs/.00000-0123abcd.parquet.0123456789abcdef0123456789abcdef.tmp",
    "pairs/beam-temp-x/part",
    "pairs/notes.txt",
    "signals/empty",
    "decisions/of-no-finished-stage",
    "tokens/work/run-00000-0123abcd.arrow",
    "captions.csv",
)
LEFT_ALONE = (
    "decisions/of-no-finished-stage",
    "tokens/work/run-00000-0123abcd.arrow",
    "captions.csv",
)


@pytest.fixture
def build(tmp_path):
    """A build whose pairs have a second generation, with files of many kinds, all two days old."""
    made = make_build(tmp_path)
    make_stage(tmp_path, "pairs", {"rows": made["rows"]}, salt="again")
    make_units(str(tmp_path / "signals"), 1, salt="of a build that goes on")
    (tmp_path / "pairs" / "join").mkdir()
    (tmp_path / "pairs" / "join" / "keys-00000-0123abcd.bin").write_bytes(b"keys")
    for name in STRAYS:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
    for path in list_files(tmp_path):
        os.utime(tmp_path / path, (time.time() - 48 * 3600,) * 2)
    return tmp_path


def list_files(directory):
    return {
        str(path.relative_to(directory)) for path in Path(directory).rglob("*") if path.is_file()
    }


def test_lists_and_removes_nothing_without_apply(build, capsys):
    before = list_files(build)
    assert main([str(build)]) == 0
    told = capsys.readouterr().out
    for kind in ("stale", "unpublished", "temporary", "foreign"):
        assert f": {kind}, " in told
    assert "to be removed with --apply" in told
    assert list_files(build) == before


def test_removes_all_that_no_manifest_names(build, capsys):
    before = list_files(build)
    assert main([str(build), "--apply"]) == 0
    gone = before - list_files(build)
    assert {name for name in STRAYS if name not in LEFT_ALONE} <= gone
    assert "pairs/join/keys-00000-0123abcd.bin" in gone
    # besides: three units of the first generation and one that no manifest names, with records
    assert len(gone) == len(STRAYS) - len(LEFT_ALONE) + 1 + 8
    assert verify([str(build)]) == 0
    assert "removed" in capsys.readouterr().out


def test_what_is_removed_is_gone_at_the_second_time(build, capsys):
    main([str(build), "--apply"])
    capsys.readouterr()
    assert main([str(build), "--apply"]) == 0
    assert capsys.readouterr().out == "0 files, 0 bytes removed\n"


@pytest.mark.parametrize(("hours", "number"), [("47", 0), ("49", 13)], ids=["older", "younger"])
def test_younger_files_stay(build, capsys, hours, number):
    main([str(build), "--apply", "--older_than_hours", hours])
    told = capsys.readouterr().out
    assert (f"{number} younger files stay" in told) == bool(number)


def test_refuses_while_a_build_runs(build, capsys):
    before = list_files(build)
    with hold_lock(str(build)):
        assert main([str(build), "--apply"]) == 2
    assert "is in use by process" in capsys.readouterr().err
    assert list_files(build) == before


def test_a_folder_without_a_build_is_bad_input(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "holds no finished stage" in capsys.readouterr().err
