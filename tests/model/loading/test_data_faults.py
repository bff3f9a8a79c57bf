"""Shards that are not what they should be, and threads that hang or die: each is named."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.data import TokenLoader
from model.loading import prefetch
from model.loading.corpus import TokenCorpus
from model.loading.prefetch import Background
from model.loading.ranges import Reading
from tests.model.conftest import LAYOUT, WriteCorpus
from tokens.manifest import MANIFEST_NAME, read_manifest
from tokens.shards import write_shard

SHARD = "train/view0-00001-00000000.parquet"


def read_all(folder: Path) -> None:
    loader = TokenLoader(TokenCorpus(str(folder)), 60, 0)
    try:
        loader.next_batch()
    finally:
        loader.close()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def flip(path: Path) -> None:
    """A bit in the middle of the codes' pages; the size stays."""
    data = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(4)
    assert column.path_in_schema == "image_codes.list.element"
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    path.write_bytes(data)


def scribble(path: Path) -> None:
    path.write_bytes(b"x" * path.stat().st_size)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(Path.unlink, "is in the manifest but not there", id="missing"),
        pytest.param(truncate, "bytes, its manifest says", id="truncated"),
        pytest.param(flip, "is damaged", id="a flipped bit"),
        pytest.param(scribble, "is not a readable Parquet file", id="no Parquet"),
    ],
)
def test_a_bad_shard_is_named(
    damage: Callable[[Path], None], message: str, tokens_folder: Path
) -> None:
    damage(tokens_folder / SHARD)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        read_all(tokens_folder)
    assert SHARD in str(caught.value) and "build the tokens again" in str(caught.value)


def rewrite(folder: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """A changed shard with a manifest that vouches for it: written wrong from the start."""
    write_shard(str(folder / SHARD), change(pq.read_table(folder / SHARD)))
    old = (folder / SHARD).stat().st_size
    manifest = read_manifest(str(folder))
    document = manifest.to_json()
    for entry in manifest.files:
        if entry.name == SHARD:
            document = document.replace(f'"bytes": {entry.bytes},', f'"bytes": {old},')
    (folder / MANIFEST_NAME).write_text(document)


def with_code(table: pa.Table) -> pa.Table:
    field = table.schema.field("image_codes")
    codes = np.full(len(table) * LAYOUT.num_codes, LAYOUT.image_vocab_size, np.uint16)
    column = pa.FixedSizeListArray.from_arrays(pa.array(codes), type=field.type)
    return table.set_column(table.schema.get_field_index("image_codes"), field, column)


def with_text(length: int, token: int) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        field = table.schema.field("text_tokens")
        column = pa.array([[token] * length] * len(table), field.type)
        return table.set_column(table.schema.get_field_index("text_tokens"), field, column)

    return change


def shorter(table: pa.Table) -> pa.Table:
    kind = pa.list_(pa.field("item", pa.uint16(), nullable=False), 5)
    column = pa.array([[0] * 5] * len(table), kind)
    field = pa.field("image_codes", kind, nullable=False)
    return table.set_column(table.schema.get_field_index("image_codes"), field, column)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(with_code, "holds image code 12, but its vocabulary ends at 11", id="code"),
        pytest.param(with_text(2, 40), "holds text token 40, but its", id="token"),
        pytest.param(with_text(7, 1), "holds a caption of 7 tokens", id="long text"),
        pytest.param(shorter, "column image_codes is fixed_size_list", id="short picture"),
        pytest.param(lambda table: table.slice(1), "24 rows, its manifest says 25", id="rows"),
    ],
)
def test_what_does_not_fit_the_layout_is_named(
    change: Callable[[pa.Table], pa.Table], message: str, tokens_folder: Path
) -> None:
    rewrite(tokens_folder, change)
    with pytest.raises(ValueError, match=message) as caught:
        read_all(tokens_folder)
    assert SHARD in str(caught.value)


def test_a_shard_that_a_purge_has_replaced_is_told_apart(
    tokens_folder: Path, write_corpus: WriteCorpus
) -> None:
    corpus = TokenCorpus(str(tokens_folder))
    write_corpus(tokens_folder, train_rows=50, generation=2)
    (tokens_folder / SHARD).unlink()
    loader = TokenLoader(corpus, 60, 0)
    with pytest.raises(FileNotFoundError, match="is generation 2 now, and this run reads"):
        loader.next_batch()
    loader.close()


def test_a_pair_that_is_taken_down_is_not_trained_on(tokens_folder: Path) -> None:
    from pipelines.purging.tombstones import Tombstones, write_tombstones

    build = str(tokens_folder.parent)
    gone = Tombstones()
    gone.add(("pair_id", (10_000_000).to_bytes(16, "big")), "of another corpus")
    gone.add(("url", (3).to_bytes(16, "big")), "no pair")
    write_tombstones(build, gone)
    read_all(tokens_folder)
    gone.add(("pair_id", (3).to_bytes(16, "big")), "asked for")
    write_tombstones(build, gone)
    with pytest.raises(ValueError, match="view0-00000-.* holds pair 0{31}3, which has been taken"):
        read_all(tokens_folder)


def test_tombstones_that_cannot_be_read_are_refused(tokens_folder: Path) -> None:
    (tokens_folder.parent / "tombstones.parquet").write_bytes(b"none")
    with pytest.raises(ValueError, match="cannot be read as tombstones"):
        read_all(tokens_folder)


def test_a_thread_that_hangs_is_an_error_in_time(
    tokens_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(
        "model.loading.shard_reader.ShardReader.decode", lambda *_: release.wait(30)
    )
    monkeypatch.setattr(prefetch, "CLOSE_TIMEOUT_S", 0.05)
    loader = TokenLoader(TokenCorpus(str(tokens_folder), Reading(timeout_s=0.2)), 60, 0)
    try:
        with pytest.raises(TimeoutError, match=r"no batch could be read for 0.2 s.*\.parquet"):
            loader.next_batch()
        loader.close()  # does not wait for ever either
    finally:
        release.set()


def test_a_thread_that_is_gone_without_a_word_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Background, "_run", lambda *_: None)
    background = Background(iter([1]), 2, 60, lambda: "shard 7")
    with pytest.raises(RuntimeError, match="the reading thread has died at shard 7"):
        background.get()


def test_what_was_read_before_an_error_is_handed_out_and_the_error_stays() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("bad shard")

    background = Background(items(), 4, 60)
    assert background.get() == 1
    for _ in range(2):
        with pytest.raises(ValueError, match="bad shard"):
            background.get()


def test_one_item_of_a_thread_that_hangs_is_not_kept_back() -> None:
    """Though less than half of the room is filled."""
    release = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        release.wait(30)

    background = Background(items(), 16, 30)
    assert background.get() == 1
    release.set()
    background.close()
