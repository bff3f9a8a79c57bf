import dataclasses
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from model.data import Position, TokenLoader
from model.loading import order
from model.loading.batch import Batch
from model.loading.corpus import TokenCorpus
from model.loading.order import RowGroup, epoch_windows
from tokens.manifest import MANIFEST_NAME, read_manifest


def pair_numbers(batch: Batch) -> list[int]:
    return [int.from_bytes(bytes(pair_id), "big") for pair_id in batch.pair_ids]


def take(loader: TokenLoader, count: int) -> list[Batch]:
    try:
        return [loader.next_batch() for _ in range(count)]
    finally:
        loader.close()


def sequences(batches: list[Batch]) -> list[list[int]]:
    return [
        [number, *text, *image]
        for batch in batches
        for number, text, image in zip(
            pair_numbers(batch), batch.text.tolist(), batch.image.tolist(), strict=True
        )
    ]


def test_each_pair_comes_exactly_once_per_epoch(tokens_folder: Path) -> None:
    loader = TokenLoader(TokenCorpus(str(tokens_folder)), batch_size=7, seed=0)
    numbers = [n for batch in take(loader, 26) for n in pair_numbers(batch)]  # 182 of 3 x 60
    epochs = [numbers[i : i + 60] for i in (0, 60, 120)]
    assert all(sorted(epoch) == list(range(60)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_epoch_e_reads_view_e_mod_k(tokens_folder: Path) -> None:
    corpus = TokenCorpus(str(tokens_folder))
    loader = TokenLoader(corpus, batch_size=20, seed=0)
    codes = {}
    for i, batch in enumerate(take(loader, 9)):
        for number, image in zip(pair_numbers(batch), batch.image, strict=True):
            codes[i // 3, number] = image
    for number in range(60):  # view 1 of the fixture is view 0 shifted by one code
        assert ((codes[0, number] + 1) % 12 == codes[1, number]).all()
        assert (codes[0, number] == codes[2, number]).all()


def test_the_order_depends_on_the_seed(tokens_folder: Path) -> None:
    corpus = TokenCorpus(str(tokens_folder))
    first, again, other = (take(TokenLoader(corpus, 20, seed), 2) for seed in (0, 0, 1))
    assert sequences(first) == sequences(again) != sequences(other)


@pytest.mark.parametrize("window_groups", [1, 2, 8])
def test_an_epoch_s_windows_hold_each_row_group_once(
    window_groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "WINDOW_GROUPS", window_groups)
    groups = tuple(RowGroup(0, i, rows) for i, rows in enumerate((5, 3, 5, 1, 4)))
    windows = list(epoch_windows(groups, seed=0, epoch=3))
    assert sorted(g.index for w in windows for g in w.groups) == [0, 1, 2, 3, 4]
    for window in windows:
        assert sorted(window.order) == list(range(sum(group.rows for group in window.groups)))


@pytest.mark.parametrize("consumed", [0, 1, 4, 5, 8, 9, 13], ids=lambda n: f"after {n} batches")
def test_a_restored_position_gives_the_same_tail(
    tokens_folder: Path, consumed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "WINDOW_GROUPS", 2)  # several windows per epoch
    corpus = TokenCorpus(str(tokens_folder))
    whole = take(TokenLoader(corpus, 14, 0), 16)
    first = TokenLoader(corpus, 14, 0)
    take(first, consumed)
    resumed = TokenLoader(corpus, 14, 0)
    resumed.restore(first.position)
    assert sequences(take(resumed, 16 - consumed)) == sequences(whole[consumed:])
    assert resumed.position.samples == 16 * 14


def test_a_position_is_what_was_handed_out_not_what_was_read_ahead(tokens_folder: Path) -> None:
    loader = TokenLoader(TokenCorpus(str(tokens_folder)), 10, 0)
    take(loader, 1)
    assert (loader.position.epoch, loader.position.samples) == (0, 10)


@pytest.mark.parametrize("worlds", [(1, 4), (2, 1), (4, 2), (2, 4)], ids=str)
def test_any_number_of_ranks_reads_the_same_global_batches(
    tokens_folder: Path, worlds: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two batches on one number of ranks, six more on another."""
    monkeypatch.setattr(order, "WINDOW_GROUPS", 1)  # batches straddle windows and epochs
    corpus = TokenCorpus(str(tokens_folder))
    expected = [sequences([batch]) for batch in take(TokenLoader(corpus, 16, 0), 8)]
    position = Position()
    parts: list[list[list[list[int]]]] = []
    for world, count in zip(worlds, (2, 6), strict=True):
        ranks = [TokenLoader(corpus, 16, 0, rank, world) for rank in range(world)]
        for rank in ranks:
            if position.samples:
                rank.restore(position)
        taken = [take(rank, count) for rank in ranks]
        parts += [[sequences([rank[i]]) for rank in taken] for i in range(count)]
        assert len({rank.position for rank in ranks}) == 1
        position = ranks[0].position
    assert [list(itertools.chain(*part)) for part in parts] == expected


def test_a_newer_generation_begins_the_next_epoch(tokens_folder: Path, write_corpus) -> None:
    loader = TokenLoader(TokenCorpus(str(tokens_folder)), 10, 0)
    take(loader, 3)
    write_corpus(tokens_folder, train_rows=50, generation=2)
    newer = TokenLoader(TokenCorpus(str(tokens_folder)), 10, 0)
    newer.restore(loader.position)
    numbers = [n for batch in take(newer, 5) for n in pair_numbers(batch)]
    assert sorted(numbers) == list(range(50))
    assert (newer.position.epoch, newer.position.samples) == (1, 80)


def test_a_missing_shard_is_named(tokens_folder: Path) -> None:
    (tokens_folder / "train" / "view0-00001-00000000.parquet").unlink()
    loader = TokenLoader(TokenCorpus(str(tokens_folder)), 60, 0)
    with pytest.raises(FileNotFoundError, match="view0-00001-00000000.parquet is in the manifest"):
        take(loader, 1)


def test_a_shard_with_other_rows_than_its_manifest_is_refused(tokens_folder: Path) -> None:
    names = [tokens_folder / "train" / f"view0-0000{i}-00000000.parquet" for i in (2, 0)]
    shutil.copy(*names)
    loader = TokenLoader(TokenCorpus(str(tokens_folder)), 60, 0)
    with pytest.raises(ValueError, match="bytes, its manifest says"):
        take(loader, 1)


def test_views_of_different_length_are_refused(tokens_folder: Path) -> None:
    manifest = read_manifest(str(tokens_folder))
    files = tuple(
        entry for entry in manifest.files if (entry.group, entry.index) != ("train/view1", 2)
    )
    text = dataclasses.replace(manifest, files=files).to_json()
    (tokens_folder / MANIFEST_NAME).write_text(text)
    with pytest.raises(ValueError, match="train/view1 does not have the rows"):
        TokenLoader(TokenCorpus(str(tokens_folder)), 10, 0)


def test_an_empty_training_split_is_refused(tmp_path: Path, write_corpus) -> None:
    folder = write_corpus(tmp_path / "empty", train_rows=0)
    with pytest.raises(ValueError, match="holds no training pairs"):
        TokenLoader(TokenCorpus(str(folder)), 10, 0)


def test_a_split_is_sampled_by_seed_and_not_beyond_its_size(tokens_folder: Path) -> None:
    corpus = TokenCorpus(str(tokens_folder))
    few, again, other = (corpus.read_split("train", 9, seed) for seed in (0, 0, 1))
    assert few is not None and again is not None and other is not None
    assert len(set(pair_numbers(few))) == 9
    assert pair_numbers(few) == pair_numbers(again) != pair_numbers(other)
    held_out = corpus.read_split("val", 1000, 0)
    assert held_out is not None and len(held_out.text) == 20


def test_batches_hold_true_rows(tokens_folder: Path) -> None:
    """Against pyarrow's own reading of the same files."""
    import pyarrow.parquet as pq

    files = sorted((tokens_folder / "train").glob("view0-*"))
    truth = {
        int.from_bytes(row["pair_id"], "big"): row
        for file in files
        for row in pq.read_table(file).to_pylist()
    }
    batch = take(TokenLoader(TokenCorpus(str(tokens_folder)), 60, 0), 1)[0]
    for number, text, image in zip(pair_numbers(batch), batch.text, batch.image, strict=True):
        words = truth[number]["text_tokens"]
        assert text.tolist() == words + [40 + t for t in range(len(words), 6)]
        assert image.tolist() == truth[number]["image_codes"]
        assert image.dtype == np.uint16
