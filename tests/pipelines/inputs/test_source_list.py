"""Patterns, lists of sources and flags become named sources, or a sentence says why not."""

import zipfile
from pathlib import Path

import pytest

from pipelines.inputs.source import Source
from pipelines.inputs.source_list import settle_sources
from pipelines.options import make_parser
from pipelines.sources import cut_rows, read_rows
from tokens.manifest import Manifest, read_table

CSV = "url,caption\nhttp://a/{0}.png,{0} one\nhttp://b/{0}.png,{0} two\n"


def settle(*arguments: str) -> tuple[Source, ...]:
    return settle_sources(make_parser(None).parse_args([*arguments, "--output", "out"]))


def given(*paths: Path) -> list[str]:
    return [f"--input={path}" for path in paths]


def cut(tmp_path: Path, *arguments: str, unit_rows: int = 2) -> Manifest:
    return cut_rows(
        str(tmp_path / "out"),
        settle(*arguments),
        unit_rows=unit_rows,
        limit=None,
        recipe={},
        fetch_sha256="",
    )


def write_tables(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text(CSV.format(name[0]))


def test_a_table_is_called_by_its_file(tmp_path: Path) -> None:
    write_tables(tmp_path, "a.csv")
    [source] = settle(*given(tmp_path / "a.csv"))
    assert (source.name, source.columns.captions, source.license) == ("a.csv", ("caption",), None)


def test_files_of_one_name_are_told_apart_and_stay_so_when_more_follow(tmp_path: Path) -> None:
    for folder in ("x", "y", "z"):
        (tmp_path / folder).mkdir()
        write_tables(tmp_path / folder, "a.csv")
    inputs = given(*(tmp_path / folder / "a.csv" for folder in "xyz"))

    names = [[source.name for source in settle(*inputs[:number])] for number in (1, 2, 3)]

    assert names == [["a.csv"], ["a.csv", "a.csv (2)"], ["a.csv", "a.csv (2)", "a.csv (3)"]]


def test_flags_say_how_plain_inputs_are_read(tmp_path: Path) -> None:
    write_tables(tmp_path, "a.csv")
    [source] = settle(
        *given(tmp_path / "a.csv"),
        "--dialect=coyo700m",
        "--url_column=link",
        "--caption_column=title",
        "--caption_column=text",
    )
    assert source.dialect.name == "coyo700m"
    assert (source.columns.url, source.columns.captions) == ("link", ("title", "text"))
    assert source.columns.width == "width"


def test_the_first_caption_that_is_not_empty_counts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "url,title,description,alt\nu,T,D,A\nu,,D,A\nu, ,,A\nu,,,\nu,,\nu\n"
    )
    captions = ["--caption_column=title", "--caption_column=description", "--caption_column=alt"]
    [source] = settle(*given(tmp_path / "a.csv"), *captions)
    assert [row.caption for row in read_rows(source)] == [b"T", b"D", b"A", b"", b"", None]


def test_a_pattern_is_one_source_whose_files_are_its_parts_in_order(tmp_path: Path) -> None:
    write_tables(tmp_path, "b.csv", "a.csv", "c.csv")
    (tmp_path / "c.txt").touch()

    manifest = cut(tmp_path, f"--input={tmp_path}/*.csv", unit_rows=1)

    [listed] = manifest.details["sources"]
    assert listed == {
        "name": tmp_path.name,
        "license": None,
        "caption": "caption",
        "dialect": "csv",
        "first_unit": 0,
        "units": 6,
        "rows": 6,
    }
    rows = [read_table(str(tmp_path / "out/rows"), entry) for entry in manifest.files]
    assert [table["source"][0].as_py() for table in rows] == [0, 0, 1, 1, 2, 2]
    assert [table["caption"][0].as_py()[0] for table in rows] == ["a", "a", "b", "b", "c", "c"]


def test_a_patterns_new_files_may_follow_and_not_come_between(tmp_path: Path) -> None:
    write_tables(tmp_path, "b.csv")
    first = cut(tmp_path, f"--input={tmp_path}/*.csv")
    write_tables(tmp_path, "c.csv")
    second = cut(tmp_path, f"--input={tmp_path}/*.csv")
    write_tables(tmp_path, "a.csv")

    assert second.files[: len(first.files)] == first.files
    assert second.details["sources"][0]["units"] == 2
    with pytest.raises(ValueError, match="new files, too, must come after all that there were"):
        cut(tmp_path, f"--input={tmp_path}/*.csv")


def test_a_file_that_is_called_like_a_pattern_is_itself(tmp_path: Path) -> None:
    write_tables(tmp_path, "[a].csv", "a.csv")
    [source] = settle(*given(tmp_path / "[a].csv"))
    assert source.url.endswith("[a].csv")
    assert len(list(read_rows(source))) == 2


def test_a_pattern_may_be_any_fsspec_url(tmp_path: Path) -> None:
    write_tables(tmp_path, "a.csv", "b.csv")
    sources = settle(f"--input=file://{tmp_path}/?.csv")
    assert [source.url for source in sources] == [f"file://{tmp_path}/{n}.csv" for n in "ab"]


def test_a_pattern_may_look_into_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "tables.zip", "w") as archive:
        for name in ("b.csv", "a.csv", "c.txt"):
            archive.writestr(name, CSV.format(name[0]))
    sources = settle(f"--input=zip://*.csv::{tmp_path}/tables.zip")
    assert [row.caption for source in sources for row in read_rows(source)] == [
        *(b"a one", b"a two", b"b one", b"b two"),
    ]
    with pytest.raises(ValueError, match="inside an archive: unpack it"):
        settle(f"--input=zip://*.csv::{tmp_path}/tables.zip", "--image_column=url")


LIST = """
[[source]]
input = "a.csv"
license = "CC0-1.0"

[[source]]
name = "conceptual"
input = "cc/*.tsv"
dialect = "cc3m"
license = "as found"
"""


def write_list(tmp_path: Path) -> Path:
    write_tables(tmp_path, "a.csv")
    (tmp_path / "cc").mkdir()
    for number in range(2):
        (tmp_path / "cc" / f"{number}.tsv").write_text(f"a bird {number}\thttp://c/{number}\n" * 3)
    (tmp_path / "list.toml").write_text(LIST)
    return tmp_path / "list.toml"


def test_a_list_says_of_each_source_how_it_is_read_and_what_its_licence_is(tmp_path: Path) -> None:
    manifest = cut(tmp_path, *given(write_list(tmp_path)))

    assert manifest.details["sources"] == [
        {
            "name": "a.csv",
            "license": "CC0-1.0",
            "caption": "caption",
            "dialect": "csv",
            "first_unit": 0,
            "units": 1,
            "rows": 2,
        },
        {
            "name": "conceptual",
            "license": "as found",
            "caption": "caption",
            "dialect": "cc3m",
            "first_unit": 1,
            "units": 4,
            "rows": 6,
        },
    ]
    rows = [read_table(str(tmp_path / "out/rows"), entry) for entry in manifest.files]
    assert [set(table["license"].to_pylist()) for table in rows] == [
        {"CC0-1.0"},
        *[{"as found"}] * 4,
    ]
    assert rows[1]["url"][0].as_py() == "http://c/0"


def test_a_row_that_names_its_own_licence_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("url,caption,license\nu,a,CC-BY\nu,b, \n")
    source = Source(str(tmp_path / "a.csv"), license="CC0")
    assert [row.license for row in read_rows(source)] == [b"CC-BY", "CC0"]


def test_plain_inputs_and_lists_stand_in_the_order_of_the_line(tmp_path: Path) -> None:
    listed = write_list(tmp_path)
    write_tables(tmp_path, "z.csv")
    sources = settle(*given(tmp_path / "z.csv", listed), "--caption_column=text")
    assert [source.name for source in sources] == ["z.csv", "a.csv", "conceptual", "conceptual"]
    assert [source.columns.captions for source in sources[:2]] == [("text",), ("caption",)]


def test_a_source_without_rows_is_in_the_books(tmp_path: Path) -> None:
    write_tables(tmp_path, "a.csv", "c.csv")
    (tmp_path / "b.csv").write_text("url,caption\n")
    sources = cut(tmp_path, *given(*(tmp_path / f"{n}.csv" for n in "abc"))).details["sources"]
    assert [(one["first_unit"], one["units"], one["rows"]) for one in sources] == [
        (0, 1, 2),
        (1, 0, 0),
        (1, 1, 2),
    ]


def test_units_of_a_plain_table_keep_their_names(tmp_path: Path) -> None:
    """A build that was begun before there were dialects goes on."""
    (tmp_path / "a.csv").write_text("url,caption\nhttp://a/,a\n")
    manifest = cut(tmp_path, *given(tmp_path / "a.csv"))
    assert [entry.name for entry in manifest.files] == ["00000-b229a9f6.parquet"]
    assert list(manifest.inputs["sources"][0]) == ["sha256", "format", "url", "caption"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(["--caption_column=caption", "--caption_column=url"], id="captions"),
        pytest.param(["--dialect=datacomp", "--caption_column=caption"], id="dialect"),
        pytest.param(["--image_column=url"], id="image column"),
    ],
)
def test_another_way_to_read_is_another_source(tmp_path: Path, change: list[str]) -> None:
    write_tables(tmp_path, "a.csv")
    cut(tmp_path, *given(tmp_path / "a.csv"))
    with pytest.raises(ValueError, match="another source list"):
        cut(tmp_path, *given(tmp_path / "a.csv"), *change)


def test_another_licence_is_another_source(tmp_path: Path) -> None:
    listed = write_list(tmp_path)
    cut(tmp_path, *given(listed))
    listed.write_text(LIST.replace("CC0-1.0", "CC-BY-4.0"))
    with pytest.raises(ValueError, match="another source list"):
        cut(tmp_path, *given(listed))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "give \\[\\[source\\]\\] tables", id="empty"),
        pytest.param("source = 3", "give \\[\\[source\\]\\] tables", id="no tables"),
        pytest.param("[[source]]\ninput='a.csv'\n[fetch]", "and nothing else", id="a recipe"),
        pytest.param("[[source]\n", "cannot be read as a list of sources", id="no TOML"),
        pytest.param("\udcff", "cannot be read as a list of sources", id="no UTF-8"),
        pytest.param("[[source]]\nname='a'", "source 1 names no input", id="no input"),
        pytest.param(
            "[[source]]\ninput='a.csv'\ndialekt='wit'", "the nearest is 'dialect'", id="unknown key"
        ),
        pytest.param(
            "[[source]]\ninput='a.csv'\ndialect='laion'", "the nearest is 'laion", id="dialect"
        ),
        pytest.param(
            "[[source]]\ninput='a.csv'\ncaption_columns='a'", "give a list of texts", id="captions"
        ),
        pytest.param(
            "[[source]]\ninput='a.csv'\ncaption_columns=[]", "caption_columns is empty", id="none"
        ),
        pytest.param(
            "[[source]]\ninput='a.csv'\nname='a'\n" * 2, "two sources are called 'a'", id="names"
        ),
        pytest.param("[[source]]\ninput='*.parquet'", "matches nothing", id="pattern"),
    ],
)
def test_a_list_that_is_none_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=message):
        settle(*given(tmp_path / "list.toml"))


def test_a_flag_that_no_input_could_heed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--dialect is for plain inputs"):
        settle(*given(write_list(tmp_path)), "--dialect=wit")


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gone.toml cannot be read"):
        settle(*given(tmp_path / "gone.toml"))


def test_an_unknown_dialect_is_refused_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        settle("--input=a.csv", "--dialect=laion")
    assert "'laion400m', 'laion2b'" in capsys.readouterr().err


def write_folder(path: Path) -> Path:
    path.mkdir()
    (path / "a.png").touch()
    (path / "a.txt").write_text("a")
    return path


def test_a_folder_of_pictures_is_known_by_the_name_that_stands_in_its_rows(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "cats")
    first = cut(tmp_path, *given(folder))
    assert read_table(str(tmp_path / "out/rows"), first.files[0])["url"].to_pylist() == [
        "cats/a.png"
    ]
    with pytest.raises(ValueError, match="another source list"):
        cut(tmp_path, *given(folder.rename(tmp_path / "dogs")))
    (tmp_path / "list.toml").write_text('[[source]]\ninput = "dogs"\nname = "cats"\n')
    assert cut(tmp_path, *given(tmp_path / "list.toml")) == first


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_a_folders_metadata_names_its_pictures(tmp_path: Path, name: str) -> None:
    folder = write_folder(tmp_path / "cats")
    text = {"metadata.csv": "file_name,text\na.png,A\n", "metadata.jsonl": ""}[name]
    (folder / name).write_text(text or '{"file_name": "a.png", "text": "A"}\n')

    [source] = settle(*given(folder), "--caption_column=text")

    assert source.name == "cats"
    [row] = read_rows(source)
    assert (row.caption, row.shard, row.member) in (
        ("A", ".", "file:a.png"),
        (b"A", ".", "file:a.png"),
    )
