import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from model.data import TokenLoader
from model.loading.corpus import TokenCorpus
from model.loading.recaption import Recaptioner
from tokens.bundled import BUNDLED, TEXT_FILE, locate
from tokens.manifest import MANIFEST_NAME, FileEntry, Manifest
from tokens.sequence import SequenceLayout
from tokens.shards import shard_schema, write_shard
from tokens.text import load_text_tokenizer

SEED, DROPOUT, ROWS = 7, 0.3, 40
WORDS = ("a", "red", "boat", "under", "the", "old", "tree", "with", "sleeping", "dogs", "ÄÖ", "17")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> TokenCorpus:
    """Two views: encoded without dropout, and with DROPOUT as `encode` keys it."""
    folder = tmp_path_factory.mktemp("tokens")
    tokenizer = load_text_tokenizer(BUNDLED)
    layout = SequenceLayout(
        text_slots=24, text_vocab_size=tokenizer.vocab_size, grid_height=2, grid_width=2
    )
    draws = np.random.default_rng(0)
    captions = [" ".join(draws.choice(WORDS, draws.integers(0, 15))) for _ in range(ROWS)]
    ids = [number.to_bytes(16, "big") for number in range(ROWS)]
    entries = []
    for view, dropout in enumerate((0.0, DROPOUT)):
        schema = shard_schema(layout, view)
        tokens = tokenizer.encode(
            captions,
            max_tokens=layout.text_slots,
            dropout=dropout,
            keys=[pair_id + bytes([view]) for pair_id in ids],
            seed=SEED,
        )
        texts = np.split(np.asarray(tokens.ids), tokens.offsets[1:-1])
        columns = {
            "pair_id": pa.array(ids, pa.binary(16)),
            "view": pa.array(np.full(ROWS, view, np.int8)),
            "text_tokens": pa.array(list(texts), schema.field("text_tokens").type),
            "text_truncated": pa.array([False] * ROWS),
            "image_codes": pa.array(
                draws.integers(0, 9, (ROWS, 4)).tolist(), schema.field("image_codes").type
            ),
            "caption": pa.array(captions),
        }
        rest = {f.name: pa.nulls(ROWS, f.type) for f in schema if f.name not in columns}
        name = f"train/view{view}-00000-00000000.parquet"
        (folder / "train").mkdir(exist_ok=True)
        write_shard(str(folder / name), pa.table(columns | rest, schema=schema))
        data = (folder / name).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        entries.append(FileEntry(name, f"train/view{view}", 0, ROWS, len(data), digest))
    (folder / "tokenizers").mkdir()
    (folder / "tokenizers" / TEXT_FILE).write_bytes(Path(locate(BUNDLED, TEXT_FILE)).read_bytes())
    details = {name: getattr(layout, name) for name in layout.__slots__} | {"views": 2}
    details["text_tokenizer_sha256"] = tokenizer.sha256
    manifest = Manifest("encode", 1, tuple(entries), {}, {}, "", {}, details)
    (folder / MANIFEST_NAME).write_text(manifest.to_json())
    return TokenCorpus(str(folder))


def epochs(corpus: TokenCorpus, dropout: float | None, count: int = 4) -> list[list[list[int]]]:
    """The text of each epoch, in order."""
    loader = TokenLoader(corpus, ROWS, SEED, bpe_dropout=dropout)
    try:
        return [loader.next_batch().text.tolist() for _ in range(count)]
    finally:
        loader.close()


def test_without_dropout_it_gives_the_stored_tokens(corpus: TokenCorpus) -> None:
    stored, anew = epochs(corpus, None, 1), epochs(corpus, 0.0, 1)
    assert anew == stored


def test_with_the_dropout_and_seed_of_the_corpus_an_epoch_is_its_view(corpus: TokenCorpus) -> None:
    assert epochs(corpus, DROPOUT)[1] == epochs(corpus, None)[1]


def test_each_epoch_draws_anew_and_the_same_in_every_run(corpus: TokenCorpus) -> None:
    first, again = epochs(corpus, DROPOUT), epochs(corpus, DROPOUT)
    assert first == again
    assert sorted(first[1]) != sorted(first[3])  # the same pairs, from the same view


def test_ranks_draw_what_one_alone_draws(corpus: TokenCorpus) -> None:
    loaders = [TokenLoader(corpus, ROWS, SEED, rank, 2, bpe_dropout=DROPOUT) for rank in (0, 1)]
    parts = [loader.next_batch().text.tolist() for loader in loaders]
    for loader in loaders:
        loader.close()
    assert parts[0] + parts[1] == epochs(corpus, DROPOUT, 1)[0]


def test_an_epoch_past_255_has_a_key_of_its_own(corpus: TokenCorpus) -> None:
    recaption = Recaptioner.of(corpus, 0.5, SEED)
    captions, pair_ids = ["sleeping dogs under the tree"] * 1, np.zeros(1, "V16")
    found = {recaption(captions, pair_ids, epoch).tobytes() for epoch in (0, 1, 256, 257, 65_536)}
    assert len(found) > 2


@pytest.mark.parametrize("dropout", [-0.1, 1.1, float("nan")])
def test_refuses_what_is_no_probability(corpus: TokenCorpus, dropout: float) -> None:
    with pytest.raises(ValueError, match="it is a probability"):
        TokenLoader(corpus, ROWS, SEED, bpe_dropout=dropout)


def test_refuses_another_tokenizer_than_the_manifest_names(tokens_folder: Path) -> None:
    path = tokens_folder / "tokenizers" / TEXT_FILE
    path.write_bytes(Path(locate(BUNDLED, TEXT_FILE)).read_bytes())
    with pytest.raises(ValueError, match="but the shards were made with tttt"):
        TokenLoader(TokenCorpus(str(tokens_folder)), 10, 0, bpe_dropout=0.1)
