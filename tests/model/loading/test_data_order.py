"""Whatever the ranks and the stops: each pair once an epoch, and the same global batches."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.data import Position, TokenLoader
from model.loading import order
from model.loading.corpora import Corpora
from model.loading.corpus import TokenCorpus
from model.loading.order import RowGroup, largest_window, shared_group_chance, stretches
from tests.model.conftest import write_corpus

ROWS = 60


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("corpora")
    return [
        write_corpus(root / "a", rows_per_file=9),
        write_corpus(root / "b", train_rows=17, views=1, seed=3, rows_per_file=5),
    ]


def numbers(corpora: Corpora, legs: list[tuple[int, int, int]]) -> list[list[tuple[int, ...]]]:
    """Global batches, each as what its pairs hold, over legs of (ranks, rows a rank, batches)."""
    position, found = Position(), []
    for ranks, rows, batches in legs:
        loaders = [TokenLoader(corpora, ranks * rows, 5, rank, ranks) for rank in range(ranks)]
        for loader in loaders:
            loader.restore(position)
        for _ in range(batches):
            parts = [loader.next_batch() for loader in loaders]
            found.append([tuple(image) for part in parts for image in part.image.tolist()])
        for loader in loaders:
            loader.close()
        assert len({loader.position for loader in loaders}) == 1
        position = loaders[0].position
    assert position.samples == sum(ranks * rows * batches for ranks, rows, batches in legs)
    return found


LEGS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 3)), max_size=4)


@settings(max_examples=8, deadline=None)
@given(legs=LEGS, window_groups=st.integers(1, 4), mixed=st.booleans())
def test_a_sample_is_the_same_whatever_the_ranks_batches_and_stops(
    folders: list[Path], legs: list[tuple[int, int, int]], window_groups: int, mixed: bool
) -> None:
    corpora = Corpora(
        tuple(TokenCorpus(str(folder)) for folder in folders[: 1 + mixed]), (3.0, 1.0)[: 1 + mixed]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "WINDOW_GROUPS", window_groups)
        samples = [pair for batch in numbers(corpora, legs) for pair in batch]
        alone = [batch[0] for batch in numbers(corpora, [(1, 1, len(samples))])]
    assert samples == alone


@settings(max_examples=8, deadline=None)
@given(legs=LEGS, window_groups=st.integers(1, 4))
def test_each_pair_comes_once_an_epoch_over_ranks_and_stops(
    folders: list[Path], legs: list[tuple[int, int, int]], window_groups: int
) -> None:
    corpus = TokenCorpus(str(folders[0]))
    position, taken = Position(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "WINDOW_GROUPS", window_groups)
        for ranks, rows, batches in [*legs, (2, 7, 9)]:
            loaders = [TokenLoader(corpus, ranks * rows, 0, rank, ranks) for rank in range(ranks)]
            for loader in loaders:
                loader.restore(position)
            for _ in range(batches):
                parts = [loader.next_batch() for loader in loaders]
                taken += [bytes(pair_id) for part in parts for pair_id in part.pair_ids]
            for loader in loaders:
                loader.close()
            position = loaders[0].position
    for start in range(0, len(taken) - ROWS + 1, ROWS):
        assert len(set(taken[start : start + ROWS])) == ROWS
    rest = Counter(taken[len(taken) // ROWS * ROWS :])
    assert all(count == 1 for count in rest.values())


def test_of_several_corpora_each_keeps_its_own_epochs(folders: list[Path]) -> None:
    members = tuple(TokenCorpus(str(folder)) for folder in folders)
    loader = TokenLoader(Corpora(members, (0.7, 0.3)), 10, 0)
    own: list[list[bytes]] = [[], []]
    choices = loader.mixing.choices(0, 400)
    for start in range(0, 400, 10):
        batch = loader.next_batch()
        for pair_id, number in zip(batch.pair_ids, choices[start : start + 10], strict=True):
            own[number].append(bytes(pair_id))
    loader.close()
    for taken, rows in zip(own, (60, 17), strict=True):
        assert len(taken) >= 2 * rows
        for start in range(0, len(taken) - rows + 1, rows):
            assert len(set(taken[start : start + rows])) == rows


def test_a_place_in_the_order_is_found_without_what_comes_before() -> None:
    groups = tuple(RowGroup(0, index, rows) for index, rows in enumerate((3, 4, 2) * 7))
    rows = sum(group.rows for group in groups)

    def tail(epoch: int, used: int) -> list[tuple[int, int, int]]:
        found: list[tuple[int, int, int]] = []
        for stretch in stretches(groups, 0, epoch, used):
            found += [
                (stretch.epoch, stretch.window.groups[0].index, int(row))
                for row in stretch.window.order[stretch.first :]
            ]
            if len(found) > 3 * rows:
                return found[: 2 * rows]
        raise AssertionError

    whole = tail(0, 0)
    for used in range(rows):
        assert tail(0, used)[: 2 * rows - used] == whole[used:]


@pytest.mark.parametrize("window_groups", [1, 3, 8])
def test_the_chance_of_a_shared_row_group_is_what_drawing_shows(
    window_groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    monkeypatch.setattr(order, "WINDOW_GROUPS", window_groups)
    groups = tuple(RowGroup(0, index, 40) for index in range(24))
    shared = pairs = 0
    for epoch in range(20):
        for window in order.epoch_windows(groups, 0, epoch):
            group_of = window.order // 40
            pairs += len(group_of) - 1
            shared += int((np.diff(group_of) == 0).sum())
    expected = shared_group_chance(groups)
    assert shared / pairs == pytest.approx(expected, abs=4 * (expected / pairs) ** 0.5 + 1e-9)


def test_the_largest_window_has_room_for_the_largest_groups() -> None:
    groups = tuple(RowGroup(0, index, rows) for index, rows in enumerate(range(1, 12)))
    assert largest_window(groups) == sum(range(4, 12))
