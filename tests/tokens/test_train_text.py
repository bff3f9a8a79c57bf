import doctest
import hashlib
import os
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import train_text
from tokens.manifest import FileEntry, Manifest
from tokens.text import load_text_tokenizer
from tokens.vocabulary import Vocabulary

ROOT = Path(__file__).parents[2]
CAPTIONS = [
    "A red fox jumps over the lazy dog",
    "The lazy dog sleeps under the red roof, 7 o'clock",
    "RED ROSES and red wine on the table",
    "Zwei rote Füchse über dem Dach",
    "jumping dogs, sleeping foxes",
]
SYNSET = "00001740 03 n 01 entity 0 000 | "


def merges_of(captions: Sequence[str], num_merges: int) -> list[tuple[str, str]]:
    return list(train_text.learn([captions], 256 + num_merges).merges)


def write_text(path: Path, captions: Sequence[str]) -> str:
    path.write_text("\n".join(captions) + "\n", encoding="utf-8")
    return str(path)


def write_wordnet(folder: Path) -> str:
    for name in train_text.WORDNET_FILES:
        write_text(folder / name, ["  1 a licence about copying", f"{SYNSET}{name[5:]} " * 3])
    return str(folder)


def write_stage(folder: Path, table: pa.Table) -> None:
    """A committed stage of one unit."""
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "00000.parquet", write_page_checksum=True)
    data = (folder / "00000.parquet").read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    entry = FileEntry("00000.parquet", "", 0, table.num_rows, len(data), sha256)
    manifest = Manifest(folder.name, 1, (entry,), {}, {}, "", {})
    (folder / "manifest.json").write_text(manifest.to_json())


@pytest.mark.parametrize(
    ("captions", "merges"),
    [
        pytest.param(["zz zz"], [("z", "z")], id="neighbours in a run"),
        pytest.param(["ZZ zz"], [("z", "z")], id="capitals count as small letters"),
        pytest.param(["a1b 23 é,é ..", "zz"], [("z", "z")], id="nothing else is joined"),
        pytest.param(["ab ab", "cd cd cd"], [("c", "d"), ("a", "b")], id="the most frequent first"),
        pytest.param(["cd ab"], [("a", "b"), ("c", "d")], id="equals in the order of ids"),
        pytest.param(["abc"] * 2, [("a", "b"), ("ab", "c")], id="what was joined joins again"),
        pytest.param(
            ["zab zab ab zz zz"],
            [("a", "b"), ("z", "z"), ("z", "ab")],
            id="equals of several letters in the order of ids",
        ),
    ],
)
def test_learns_the_merges_of_runs(captions: list[str], merges: list[tuple[str, str]]) -> None:
    assert merges_of(captions, len(merges)) == merges


def test_a_run_that_is_too_long_to_be_a_word_is_learnt_in_parts() -> None:
    longest = max(len(left + right) for left, right in merges_of(["x" * 64 * 10 + "y" * 99], 14))
    assert longest <= 64


def test_the_order_of_the_text_does_not_matter() -> None:
    words = ["".join(random.Random(n).choices("abcdef", k=n % 9 + 1)) for n in range(2_000)]
    shuffled = random.Random(0).sample(words, len(words))
    assert merges_of(words, 500) == merges_of([" ".join(shuffled)], 500)


def test_a_vocabulary_learnt_again_has_the_same_bytes(tmp_path: Path) -> None:
    text = write_text(tmp_path / "captions.txt", CAPTIONS)
    files = [tmp_path / "first.json", tmp_path / "second.json"]
    for file, threads in zip(files, ("1", "4"), strict=True):
        command = [sys.executable, ROOT / "tokenize/train_text.py", "--text", text]
        subprocess.run(
            [*command, "--out", file, "--vocab_size", "300"],
            env=os.environ | {"RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": threads},
            check=True,
            capture_output=True,
        )
    assert files[0].read_bytes() == files[1].read_bytes()
    assert hashlib.sha256(files[0].read_bytes()).hexdigest() == (
        "884b13e2336ee9f7904a8ab5cad1a70802d6f2312c053bb0fad619d276653fca"
    )


def test_says_what_it_read_and_what_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, out = write_text(tmp_path / "captions.txt", CAPTIONS), str(tmp_path / "text.json")
    assert train_text.main(["--text", text, "--out", out, "--vocab_size", "300"]) == 0
    printed = capsys.readouterr()
    tokenizer = load_text_tokenizer(out)
    mean = len(tokenizer.encode(CAPTIONS).ids) / len(CAPTIONS)
    assert printed.out == (
        f"captions 5  tokens per caption {mean:.1f} (first 5)  vocabulary 300  "
        f"file {out}  sha256 {tokenizer.sha256}\n"
    )
    assert printed.err == ""
    assert sorted(os.listdir(tmp_path)) == ["captions.txt", "text.json"]


def test_learns_from_the_kept_training_pairs_of_a_build(tmp_path: Path) -> None:
    write_stage(
        tmp_path / "pairs",
        pa.table({"caption": ["ab ab", "cd cd cd", None, "ef ef ef", "gh", None]}),
    )
    write_stage(
        tmp_path / "decisions",
        pa.table(
            {
                "reason": ["kept", "kept", "timeout", "caption_length", "kept", "kept"],
                "split": ["train", "val", None, None, "train", "train"],
            }
        ),
    )
    out = str(tmp_path / "text.json")
    assert train_text.main(["--data", str(tmp_path), "--out", out, "--vocab_size", "258"]) == 0
    assert Vocabulary.from_json(Path(out).read_bytes(), out).merges == (("a", "b"), ("g", "h"))


def test_reads_the_glosses_of_wordnet_and_not_its_licence(tmp_path: Path) -> None:
    batches = train_text.read_glosses(write_wordnet(tmp_path))
    glosses = [gloss for batch in batches for gloss in batch]
    assert [gloss.split()[0] for gloss in glosses] == ["noun", "verb", "adj", "adv"]


def test_sources_add_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [write_text(tmp_path / name, CAPTIONS) for name in ("a.txt", "b.txt")]
    arguments = ["--text", texts[0], "--text", texts[1], "--wordnet", write_wordnet(tmp_path)]
    out = ["--out", str(tmp_path / "text.json"), "--vocab_size", "300"]
    assert train_text.main([*arguments, *out]) == 0
    assert capsys.readouterr().out.startswith("captions 14  ")


def test_lines_without_text_and_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "captions.txt"
    path.write_bytes(b"one\r\n\r\n  \ntwo \xff\xfe\0three\n\nfour")
    lines = [line for batch in train_text.read_lines(str(path)) for line in batch]
    assert lines == ["one", "two \ufffd\ufffd\0three", "four"]


def test_writes_into_a_new_folder_and_over_an_old_file(tmp_path: Path) -> None:
    text, out = write_text(tmp_path / "captions.txt", CAPTIONS), tmp_path / "new/er/text.json"
    for size in (300, 310):
        assert train_text.main(["--text", text, "--out", str(out), "--vocab_size", str(size)]) == 0
        assert load_text_tokenizer(str(out)).vocab_size == size
    assert os.listdir(out.parent) == ["text.json"]


def test_reads_and_writes_any_file_system(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/words/captions.txt", "\n".join(CAPTIONS).encode())
    out = "memory://vocabularies/text.json"
    arguments = ["--text", "memory://words/captions.txt", "--vocab_size", "300", "--out", out]
    assert train_text.main(arguments) == 0
    assert load_text_tokenizer(out).vocab_size == 300


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        pytest.param([], "--data, --text or --wordnet", id="no text"),
        pytest.param(["--text", "absent.txt"], "no text file absent.txt", id="missing text"),
        pytest.param(["--text", "."], "no text file .", id="a folder for a text"),
        pytest.param(["--text", "gone://a"], "gone", id="an unknown file system"),
        pytest.param(["--data", "absent"], "absent/pairs", id="missing build"),
        pytest.param(["--wordnet", "absent"], "absent/data.noun", id="missing WordNet"),
        pytest.param(["--wordnet", "wrong"], "data.noun in wrong", id="another data.noun"),
        pytest.param(["--text", "few.txt"], "16,128 are needed", id="too little text"),
        pytest.param(["--text", "digits.txt"], "nothing to learn", id="text without words"),
        pytest.param(["--text", "few.txt", "--vocab_size", "256"], "257 to 65536", id="no merges"),
        pytest.param(["--text", "few.txt", "--vocab_size", "65537"], "16 bits", id="too many ids"),
        pytest.param(["--text", "few.txt", "--out", "wrong"], "is a folder", id="out is a folder"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(
    arguments: list[str],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong").mkdir()
    write_text(tmp_path / "wrong/data.noun", ["time,temperature"])
    write_text(tmp_path / "few.txt", CAPTIONS)
    write_text(tmp_path / "digits.txt", ["1 2 3", "a 4"])
    before = sorted(tmp_path.rglob("*"))
    assert train_text.main(["--out", "text.json", *arguments]) == 2
    printed = capsys.readouterr()
    assert named in printed.err
    assert printed.err.startswith("train_text: ") and printed.err.count("\n") == 1
    assert printed.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_the_vocabulary_size_that_it_proposes_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, out = write_text(tmp_path / "captions.txt", CAPTIONS), str(tmp_path / "text.json")
    assert train_text.main(["--text", text, "--out", out]) == 2
    proposed = re.search(r"--vocab_size (\d+)", capsys.readouterr().err)
    assert proposed is not None
    assert train_text.main(["--text", text, "--out", out, "--vocab_size", proposed[1]]) == 0


def test_an_interrupt_writes_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(url: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_text, "read_lines", interrupted)
    out = tmp_path / "text.json"
    assert train_text.main(["--text", "captions.txt", "--out", str(out)]) == 130
    assert capsys.readouterr().err == "train_text: stopped; nothing was written\n"
    assert not out.exists()


def test_the_readme_names_the_bundled_vocabulary_by_its_hash_and_shows_real_output() -> None:
    readme = ROOT / "tokenize/README.md"
    assert load_text_tokenizer("bundled").sha256 in readme.read_text(encoding="utf-8")
    assert doctest.testfile(str(readme), module_relative=False).failed == 0
