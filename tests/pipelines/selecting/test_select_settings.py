"""What select will need is looked at before anything is fetched."""

from pathlib import Path

import pytest

from pipelines.corpus import settle
from pipelines.doors import BadInput
from pipelines.options import make_parser

RECIPE = """
[select]
{line}
[[select.rules]]
filter = "short_side"
min_side_px = 256
{table}
"""


def settle_with(folder: Path, line: str = "", table: str = "", until: str = "select") -> None:
    (folder / "r.toml").write_text(RECIPE.format(line=line, table=table))
    (folder / "a.csv").write_text("url,caption\n")
    arguments = ["--input", f"{folder}/a.csv", "--output", f"{folder}/out"]
    more = ["--recipe", f"{folder}/r.toml", "--until", until]
    settle(make_parser("").parse_args([*arguments, *more]))


@pytest.mark.parametrize(
    ("line", "table", "complaint"),
    [
        ('optout_lists = ["{folder}/no.txt"]', "", "no.txt cannot be read as a list"),
        ("", '[[select.eval_sets]]\nname = "a"\npictures = "{folder}/no"', "no is not there"),
        ("", '[[select.eval_sets]]\nname = "a"\npictures = "{folder}"', "holds no pictures"),
    ],
)
def test_what_is_missing_is_told_at_once(tmp_path, line, table, complaint):
    line, table = (text.replace("{folder}", str(tmp_path)) for text in (line, table))
    with pytest.raises(BadInput, match=complaint):
        settle_with(tmp_path, line, table)
    assert not (tmp_path / "out").exists()
    settle_with(tmp_path, line, table, until="fetch")
