"""Corpora behind a slow and failing store, and the folder that keeps parts of them."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from model.data import TokenLoader
from model.loading import ranges
from model.loading.corpus import TokenCorpus
from model.loading.range_cache import RangeCache
from model.loading.ranges import RangeFile, Reading


class FaultyStore(MemoryFileSystem):  # type: ignore[misc]
    """fsspec's memory, whose range reads fail or come short as often as it is told."""

    protocol = "faulty"
    cachable = False
    failures = 0
    short = 0
    reads: list[tuple[str, int]] = []
    under_way = most_under_way = 0
    gate: threading.Event | None = None
    lock = threading.Lock()

    @classmethod
    def _strip_protocol(cls, path):  # type: ignore[no-untyped-def]
        return super()._strip_protocol(path.replace("faulty://", "memory://"))

    def cat_file(self, path, start=None, end=None, **options):  # type: ignore[no-untyped-def]
        cls = FaultyStore
        if start is None:
            return super().cat_file(path, start, end, **options)
        with cls.lock:
            cls.reads.append((path, start))
            cls.under_way += 1
            cls.most_under_way = max(cls.most_under_way, cls.under_way)
            fails, cls.failures = cls.failures > 0, cls.failures - (cls.failures > 0)
            short, cls.short = cls.short > 0, cls.short - (cls.short > 0)
        try:
            if cls.gate is not None:
                cls.gate.wait(30)
            if fails:
                raise ConnectionResetError("the store has hung up")
            return super().cat_file(path, start, end - 1 if short else end, **options)
        finally:
            with cls.lock:
                cls.under_way -= 1


fsspec.register_implementation("faulty", FaultyStore, clobber=True)


@pytest.fixture
def remote(tokens_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The corpus of `tokens_folder`, in the faulty store."""
    monkeypatch.setattr(ranges, "RETRY_DELAYS_S", (0.0, 0.0, 0.0))
    for name, value in {"failures": 0, "short": 0, "reads": [], "gate": None}.items():
        monkeypatch.setattr(FaultyStore, name, value)
    monkeypatch.setattr(FaultyStore, "most_under_way", 0)
    store = FaultyStore()
    for path in tokens_folder.rglob("*"):
        if path.is_file():
            store.pipe_file(f"/corpus/{path.relative_to(tokens_folder)}", path.read_bytes())
    yield "faulty://corpus"
    store.rm("/corpus", recursive=True)


def take(corpus: TokenCorpus, batches: int = 6) -> list[list[int]]:
    loader = TokenLoader(corpus, 20, 0)
    try:
        return [row for _ in range(batches) for row in loader.next_batch().image.tolist()]
    finally:
        loader.close()


def test_a_remote_corpus_gives_what_a_local_one_gives(remote: str, tokens_folder: Path) -> None:
    assert take(TokenCorpus(remote)) == take(TokenCorpus(str(tokens_folder)))


def test_footers_are_read_once(remote: str) -> None:
    take(TokenCorpus(remote), 12)
    footers = [path for path, start in FaultyStore.reads if start == 0]
    assert len(footers) == len(set(footers)) == 6  # three shards of either view


def test_a_read_that_fails_is_tried_again(remote: str, tokens_folder: Path) -> None:
    corpus = TokenCorpus(remote)
    FaultyStore.failures, FaultyStore.short = 2, 1
    assert take(corpus) == take(TokenCorpus(str(tokens_folder)))
    assert FaultyStore.failures == FaultyStore.short == 0


@pytest.mark.parametrize(
    ("failures", "short", "message"),
    [
        pytest.param(99, 0, "ConnectionResetError: the store has hung up", id="failing"),
        pytest.param(0, 99, "bytes came instead of", id="too short"),
    ],
)
def test_a_store_that_fails_for_good_is_one_clear_sentence(
    failures: int, short: int, message: str, remote: str
) -> None:
    corpus = TokenCorpus(remote)
    FaultyStore.failures, FaultyStore.short = failures, short
    with pytest.raises(OSError, match=message) as caught:
        take(corpus)
    assert "could not be read in 4 attempts" in str(caught.value)
    assert ".parquet, bytes 0 to" in str(caught.value)


@pytest.mark.parametrize("depth", [1, 2])
def test_so_many_row_groups_are_on_their_way_at_once(depth: int, remote: str) -> None:
    FaultyStore.gate = threading.Event()
    loader = TokenLoader(TokenCorpus(remote, Reading(prefetch_groups=depth)), 20, 0)
    opening = threading.Timer(0.5, FaultyStore.gate.set)
    opening.start()
    loader.next_batch()
    loader.close()
    opening.join()
    assert FaultyStore.most_under_way == depth + 1  # one more: the one that is waited for


def test_a_second_run_reads_from_the_folder(remote: str, tmp_path: Path) -> None:
    reading = Reading(cache_dir=str(tmp_path / "kept"))
    first = take(TokenCorpus(remote, reading))
    FaultyStore.reads.clear()
    assert take(TokenCorpus(remote, reading)) == first
    assert all(start == 0 for _, start in FaultyStore.reads)  # footers alone


def test_a_kept_part_that_is_damaged_is_fetched_again(remote: str, tmp_path: Path) -> None:
    reading = Reading(cache_dir=str(tmp_path / "kept"))
    first = take(TokenCorpus(remote, reading))
    for entry in (tmp_path / "kept" / "entries").iterdir():
        entry.write_bytes(bytes(entry.stat().st_size))  # as a power cut leaves a file
    assert take(TokenCorpus(remote, reading)) == first
    assert take(TokenCorpus(remote, reading)) == first


def test_over_the_limit_what_was_read_longest_ago_goes(tmp_path: Path) -> None:
    cache = RangeCache(str(tmp_path), max_bytes=30)
    for age, name in enumerate("abc"):
        cache.get(name, 10, lambda: bytes(10))
        os.utime(tmp_path / "entries" / name, (age, age))
    leftover = tmp_path / "entries" / ".d.1.1"  # of a process that was killed
    leftover.touch()
    os.utime(leftover, (0, 0))
    assert cache.get("a", 10, lambda: b"") == bytes(10)  # now the youngest
    cache.get("e", 10, lambda: bytes(10))
    left = sorted(path.name for path in (tmp_path / "entries").iterdir())
    assert left == ["a", "c", "e"]


def test_what_is_larger_than_the_limit_is_handed_on(tmp_path: Path) -> None:
    cache = RangeCache(str(tmp_path), max_bytes=5)
    assert cache.get("a", 10, lambda: bytes(10)) == bytes(10)
    assert not list((tmp_path / "entries").iterdir())


def test_a_part_of_another_size_is_not_believed(tmp_path: Path) -> None:
    cache = RangeCache(str(tmp_path), max_bytes=99)
    cache.get("a", 10, lambda: bytes(10))
    (tmp_path / "entries" / "a").write_bytes(b"short")
    assert cache.get("a", 10, lambda: bytes(10)) == bytes(10)


def test_one_fetches_while_the_others_wait(tmp_path: Path) -> None:
    fetched, results = [], []
    go = threading.Event()

    def fetch() -> bytes:
        go.wait(10)
        fetched.append(1)
        return bytes(10)

    def ask() -> None:
        results.append(RangeCache(str(tmp_path), 99).get("a", 10, fetch))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert results == [bytes(10)] * 4 and len(fetched) == 1


def test_a_full_disk_costs_the_copy_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    cache = RangeCache(str(tmp_path), max_bytes=99)
    monkeypatch.setattr(Path, "write_bytes", full)
    assert [cache.get("a", 10, lambda: bytes(10)) for _ in range(2)] == [bytes(10)] * 2
    assert caplog.text.count("nothing more is kept") == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"cache_gib": 0.0}, "cache_gib is 0.0", id="no room"),
        pytest.param({"prefetch_groups": 0}, "prefetch_groups is 0", id="no depth"),
        pytest.param({"timeout_s": 0.0}, "timeout_s is 0.0", id="no time"),
    ],
)
def test_refuses_settings(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Reading(**settings)  # type: ignore[arg-type]


def test_a_cache_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot be made"):
        RangeCache(str(tmp_path / "file"), 10)


def test_a_part_of_a_file_reads_at_its_true_offsets() -> None:
    file = RangeFile(b"defgh", 3, 10)
    file.seek(4)
    assert (file.read(2), file.tell()) == (b"ef", 6)
    with pytest.raises(OSError, match="not at hand"):
        file.read(4)
    file.seek(0)
    with pytest.raises(OSError, match="not at hand"):
        file.read(1)
