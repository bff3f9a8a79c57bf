"""Captions made to hurt: the tokenizer never raises, gives them back, and takes linear time."""

import pytest

from tokens.text import load_text_tokenizer, lower_cased

from .counting import calls_made

TOKENIZER = load_text_tokenizer("bundled")
UNLIMITED = 1 << 22

HOSTILE = {
    "NUL": "\0",
    "control characters": "\x01\x1b[31m\x7f\x85",
    "lone surrogates": "\ud800\udfff x",
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u202e\u0645\u0631\u062d\u0628\u0627 ",
    "emoji alone": "\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f3fd",
    "a letter under marks": "e" + "\u0301\u0489\u0335" * 50,
    "capitals that grow": "\u0130\u1e9e",
    "not characters": "\ufdd0\ufffe\U0010ffff",
    "one run of letters": "ab",
    "letters that never merge": "zqxj",
    "white space": " \t\r\n\u3000\u2028",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_gives_back_ten_thousand_letters_of_anything(piece: str, dropout: float) -> None:
    caption = piece * (10_000 // len(piece))

    ids = TOKENIZER.encode([caption], max_tokens=UNLIMITED, dropout=dropout, keys=[b"k"]).ids

    assert TOKENIZER.decode(ids) == lower_cased(caption)


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_takes_a_megabyte_of_anything_and_keeps_its_beginning(piece: str, dropout: float) -> None:
    caption = piece * (1_000_000 // len(piece))

    tokens = TOKENIZER.encode([caption], dropout=dropout, keys=[b"k"])

    assert (len(tokens.ids), tokens.truncated.tolist()) == (256, [True])


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_work_grows_no_faster_than_the_caption(piece: str, dropout: float) -> None:
    def work(letters: int) -> int:
        caption = piece * (letters // len(piece))
        return calls_made(
            lambda: TOKENIZER.encode([caption], max_tokens=UNLIMITED, dropout=dropout, keys=[b"k"])
        )

    work(2_000)  # meets each run for the first time
    assert work(16_000) < 2.2 * work(8_000)
