"""The door: what it writes, and what it says to bad input."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

from model.sample import main
from model.sampling.drawing import Strip, draw_sheet, wrap
from model.sampling.picture_files import save_png, slug
from tests.model.sampling.sample_runs import train_run


def test_a_sheet_shows_each_picture_whole_and_its_caption_below() -> None:
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    strips = [
        Strip(f"caption {i}", [np.full((16, 16, 3), colour, np.uint8)] * 2)
        for i, colour in enumerate(colours)
    ]
    pixels = np.asarray(draw_sheet(strips))
    for colour in colours:
        rows, columns = np.nonzero((pixels == colour).all(axis=-1))
        assert len(rows) == 2 * 128 * 128  # two pictures, enlarged to 128 pixels
        below = pixels[rows.max() + 8 : rows.max() + 30, columns.min() : columns.max()]
        assert below.min() < 128, "no dark letter stands under the picture"


def test_notes_stand_between_a_picture_and_its_caption() -> None:
    picture = np.full((128, 128, 3), 200, np.uint8)
    bare, noted = (
        np.asarray(draw_sheet([Strip("caption", [picture] * 2, notes)]))
        for notes in ((), ("0.312", "0.287"))
    )
    assert noted.shape[0] > bare.shape[0] and noted.shape[1] == bare.shape[1]
    below = noted[24 + 130 : 24 + 146]
    for left in (24, 24 + 134):
        assert below[:, left : left + 40].min() < 150, "a note is missing"


def test_a_long_caption_is_cut_with_an_ellipsis() -> None:
    font = ImageFont.load_default(15)
    lines = wrap("a very long caption " * 20, font, 200)
    assert len(lines) == 2 and lines[1].endswith("...")
    assert all(font.getlength(line) <= 200 for line in lines)
    assert wrap("short", font, 200) == ["short"]
    assert wrap("w" * 100, font, 200)[0].endswith("...")


@pytest.mark.parametrize("text", ["a red boat", "naïve café", "красная лодка", "赤い船 🚤", "a\nb"])
def test_a_png_gives_back_its_texts(text: str, tmp_path: Path) -> None:
    save_png(Image.new("RGB", (2, 2)), tmp_path / "a.png", {"Description": text})
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.text["Description"] == text  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A red boat!", "a-red-boat"),
        ("../../etc", "etc"),
        ("赤い船", "picture"),
        ("a" * 99, "a" * 40),
    ],
)
def test_a_file_s_name_is_harmless(caption: str, expected: str) -> None:
    assert slug(caption) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "no caption", id="no caption"),
        pytest.param(["--caption", "a", "--num", "0"], "num is 0", id="no picture"),
        pytest.param(["--caption", "a", "--temperature", "0"], "temperature", id="no warmth"),
        pytest.param(["--caption", "a", "--best_of", "9"], "needs --clip", id="no judge"),
        pytest.param(["--caption", "a", "--prime_rows", "9"], "needs --prime", id="no prime"),
        pytest.param(["--caption", "a", "--clip", "no.pt"], "no file no.pt", id="no weights"),
        pytest.param(["--captions", "nowhere.txt"], "nowhere.txt", id="no file"),
        pytest.param(["--caption", "a"], "is not the folder of a run", id="no run"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--run", str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error


def test_draws_from_a_trained_run(
    tmp_path: Path, write_corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    """From captions in words to sheets, files and a list, with true tokenizers of both kinds."""
    run = train_run(tmp_path, write_corpus)
    captions = ["a red flower", "a very long caption of many words"]
    (tmp_path / "captions.txt").write_text("\n\n".join(captions) + "\n")
    sample = ["--run", str(run), "--captions", str(tmp_path / "captions.txt"), "--num", "3"]
    sheets = []
    for name, more in (("a", []), ("b", []), ("c", ["--seed", "5"])):
        out = [f"--out={tmp_path / name}.png", "--pictures", str(tmp_path / name)]
        progress = ["--progress", str(tmp_path / f"{name}-progress.png")]
        assert main([*sample, *out, *progress, *more]) == 0
        sheets.append(np.asarray(Image.open(tmp_path / f"{name}.png")))
    assert "2 captions, 3 pictures each" in capsys.readouterr().out
    assert np.array_equal(sheets[0], sheets[1]) and not np.array_equal(sheets[0], sheets[2])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()

    lines = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert [(line["caption"], line["seed"], line["rank"]) for line in lines] == [
        (caption, 5 + j, j) for caption in captions for j in range(3)
    ]
    for line in lines:
        with Image.open(tmp_path / "c" / line["file"]) as opened:
            texts = opened.text  # type: ignore[attr-defined]
        assert texts["Description"] == line["caption"] and texts["Seed"] == str(line["seed"])
        assert json.loads(texts["Settings"]) == line["settings"]
        assert texts["Run"] == line["settings"]["weights"] and len(texts["Run"]) == 32
    with Image.open(tmp_path / "c.png") as opened:
        assert opened.text["Seed"] == "5 6 7 5 6 7"  # type: ignore[attr-defined]
    with Image.open(tmp_path / "a-progress.png") as opened:
        assert opened.width > 6 * 128
