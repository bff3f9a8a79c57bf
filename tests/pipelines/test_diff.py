"""Two builds compared: what was asked for, what was counted, and what became of every pair."""

from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.checking.pair_diff import (
    REPEATED,
    Decided,
    count_changes,
    only_changed,
    pair_changes,
)
from pipelines.commit import Written, commit_table, publish, unit_output
from pipelines.diff import main
from tests.pipelines.made_stages import make_build
from tokens.manifest import Manifest

REASONS = ("kept", "language", "aspect_ratio", REPEATED)


def decide(folder, units, recipe=None):
    """Publish decisions: of each unit a list of (pair, reason)."""
    entries = []
    for index, rows in enumerate(units):
        ids = pa.array([key(pair) for pair, _ in rows], pa.binary(16))
        table = pa.table({"pair_id": ids, "reason": pa.array([r for _, r in rows], pa.string())})
        counts = dict(Counter(reason for _, reason in rows))
        written = Written(len(rows), counts)
        entries.append(commit_table(unit_output(str(folder), index, "", ""), table, written))
    counts = dict(Counter(reason for unit in units for _, reason in unit))
    stage = Manifest("select", 0, tuple(entries), counts, recipe or {}, "", {})
    return Decided(str(folder), publish(str(folder), stage))


def key(pair):
    return pair.to_bytes(8, "little") * 2


def expected_changes(a, b):
    left, right = (
        {pair: reason for unit in units for pair, reason in unit if reason != REPEATED}
        for units in (a, b)
    )
    return Counter((left.get(pair), right.get(pair)) for pair in left.keys() | right.keys())


decisions = st.dictionaries(st.integers(0, 40), st.sampled_from(REASONS[:3]), max_size=12)


@settings(max_examples=20, deadline=None)
@given(decisions, decisions, st.integers(1, 8))
def test_every_pair_is_compared_once_in_any_number_of_passes(tmp_path_factory, a, b, pass_rows):
    folder = tmp_path_factory.mktemp("sides")
    a, b = ([list(one.items())[:5], list(one.items())[5:]] for one in (a, b))
    sides = decide(folder / "a", a), decide(folder / "b", b)
    counts = Counter()
    for changes in pair_changes(*sides, pass_rows=pass_rows):
        counts += count_changes(changes)
    assert counts == expected_changes(a, b)


def test_a_repeated_row_of_a_pair_does_not_count(tmp_path):
    a = decide(tmp_path / "a", [[(1, "kept"), (1, REPEATED)]])
    b = decide(tmp_path / "b", [[(1, "language"), (2, "kept"), (2, REPEATED)]])
    (changes,) = pair_changes(a, b)
    assert count_changes(changes) == {("kept", "language"): 1, (None, "kept"): 1}
    assert only_changed(changes)["pair_id"].to_pylist() == [key(1), key(2)]


@pytest.fixture
def builds(tmp_path):
    for name in "ab":
        make_build(tmp_path / name)
    rule = {"filter": "aspect_ratio", "max_ratio": 2.0}
    other = rule | {"max_ratio": 1.5}
    rows = [(1, "kept"), (2, "kept"), (3, "language")]
    decide(tmp_path / "a/decisions", [rows], {"select": {"rules": [rule]}})
    changed = [(1, "kept"), (2, "aspect_ratio"), (3, "language")]
    decide(tmp_path / "b/decisions", [changed], {"select": {"rules": [other]}})
    return tmp_path


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err


def test_tells_settings_counts_and_fates(builds, capsys):
    code, lines, _ = run(capsys, builds / "a", builds / "b")
    assert code == 0
    assert lines[0] == "recipe.select.rules.aspect_ratio.max_ratio: 2.0 -> 1.5"
    assert lines[1].startswith("select ")
    assert lines[1].endswith("0 of 1 and 1 files the same")
    assert [line.split() for line in lines[2:4]] == [
        ["aspect_ratio", "0", "->", "1", "+1"],
        ["kept", "2", "->", "1", "-1"],
    ]
    assert lines[4] == "pairs kept: 1 in both, 1 in A alone, 0 in B alone"
    assert lines[5].split() == ["1", "kept", "->", "aspect_ratio"]
    assert len(lines) == 6


def test_lists_the_pairs_that_changed(builds, capsys):
    file = builds / "changed.parquet"
    assert run(capsys, builds / "a", builds / "b", "--pairs", file)[0] == 0
    found = pq.read_table(file).to_pylist()
    assert found == [{"pair_id": key(2), "reason_a": "kept", "reason_b": "aspect_ratio"}]
    assert [path.name for path in builds.glob("changed*")] == ["changed.parquet"]


def test_equal_builds_say_so(builds, capsys):
    assert run(capsys, builds / "a", builds / "a") == (0, ["nothing differs"], "")


def test_a_stage_that_one_side_lacks_is_named(builds, capsys):
    (builds / "b/decisions/manifest.json").unlink()
    _, lines, _ = run(capsys, builds / "a", builds / "b")
    assert any(line.split() == ["decisions", "not", "there", "in", f"{builds}/b"] for line in lines)


def test_compares_two_manifests_of_one_stage(builds, capsys):
    manifests = [builds / side / "decisions/manifest.json" for side in "ab"]
    code, lines, _ = run(capsys, *manifests)
    assert code == 0
    assert lines[0].endswith("max_ratio: 2.0 -> 1.5")
    assert not any(line.startswith("pairs kept") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a", "nowhere"], "nowhere holds no finished stage"),
        (["a/decisions/manifest.json", "b/pairs/manifest.json"], "one manifest is of select"),
        (["a/decisions/manifest.json", "b/nothing.json"], "nothing.json"),
    ],
)
def test_bad_input_is_one_sentence(builds, capsys, arguments, told):
    code, _, error = run(capsys, *(builds / one for one in arguments))
    assert code == 2
    assert told in error
    assert error.count("\n") == 1


def test_a_list_of_pairs_needs_decisions(builds, capsys):
    (builds / "b/decisions/manifest.json").unlink()
    code, _, error = run(capsys, builds / "a", builds / "b", "--pairs", builds / "p.parquet")
    assert (code, "as far as select" in error) == (2, True)
