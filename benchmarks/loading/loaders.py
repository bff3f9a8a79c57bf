"""Each loader as a user of it would write it: how the corpus is stored, and batches without end.

`write` takes the drawn shards; `batches` gives (text [B, 256], codes [B, 1024]) in shuffled order,
from this process, without workers. What a loader needs is imported by itself: one that is not
installed is left out, with its name.
"""

import io
import itertools
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from loading.rows import Rows, write_tokens

SHUFFLE_BUFFER = 2_000
"""Samples that a loader which shuffles by a buffer holds."""
Pair = tuple[np.ndarray, np.ndarray]


class Loader(Protocol):
    """One way to store and read the corpus."""

    name: str
    samples: int
    """Timed in a round: as many as it reads in a few seconds."""

    def write(self, folder: Path, shards: Iterable[Rows], num_rows: int) -> None: ...

    def batches(self, folder: Path, batch_size: int) -> Iterator[Pair]: ...


class Pairmill:
    name = "pairmill"
    samples = 98_304

    def write(self, folder: Path, shards: Iterable[Rows], num_rows: int) -> None:
        write_tokens(folder, num_rows)

    def batches(self, folder: Path, batch_size: int) -> Iterator[Pair]:
        from model.data import TokenLoader
        from model.loading.corpus import TokenCorpus

        loader = TokenLoader(TokenCorpus(str(folder)), batch_size, seed=0)
        try:
            while True:
                batch = loader.next_batch()
                yield batch.text, batch.image
        finally:
            loader.close()


class HuggingFaceMap:
    """Map-style, the batch taken as an Arrow table: the fastest way that there is."""

    name = "HF datasets, map-style batches"
    samples = 98_304

    def write(self, folder: Path, shards: Iterable[Rows], num_rows: int) -> None:
        import datasets

        features = datasets.Features(
            text=datasets.Sequence(datasets.Value("uint16"), length=256),
            codes=datasets.Sequence(datasets.Value("uint16"), length=1024),
        )
        parts = [
            datasets.Dataset.from_dict({"text": rows.padded, "codes": rows.codes}, features)
            for rows in shards
        ]
        datasets.concatenate_datasets(parts).save_to_disk(str(folder))

    def batches(self, folder: Path, batch_size: int) -> Iterator[Pair]:
        import datasets

        stored = datasets.load_from_disk(str(folder)).with_format("arrow")
        for epoch in itertools.count():
            order = np.random.default_rng(epoch).permutation(len(stored))
            for start in range(0, len(order) - batch_size + 1, batch_size):
                table = stored[order[start : start + batch_size]]
                text, codes = (table[name].combine_chunks() for name in ("text", "codes"))
                yield (
                    text.flatten().to_numpy().reshape(-1, 256),
                    codes.flatten().to_numpy().reshape(-1, 1024),
                )


class HuggingFaceStream(HuggingFaceMap):
    name = "HF datasets, streaming"
    samples = 8_192

    def batches(self, folder: Path, batch_size: int) -> Iterator[Pair]:
        import datasets

        stored = datasets.load_from_disk(str(folder)).to_iterable_dataset()
        shuffled = stored.shuffle(seed=0, buffer_size=SHUFFLE_BUFFER).with_format("numpy")
        for epoch in itertools.count():
            shuffled.set_epoch(epoch)
            for batch in shuffled.iter(batch_size, drop_last_batch=True):
                yield batch["text"], batch["codes"]


class LitData:
    name = "litdata"
    samples = 49_152

    def write(self, folder: Path, shards: Iterable[Rows], num_rows: int) -> None:
        from litdata.streaming.cache import Cache

        folder.mkdir(parents=True, exist_ok=True)
        cache = Cache(str(folder), chunk_bytes="64MB")
        for number, sample in enumerate(_samples(shards)):
            cache[number] = sample
        cache.done()
        cache.merge()

    def batches(self, folder: Path, batch_size: int) -> Iterator[Pair]:
        import litdata

        stored = litdata.StreamingDataset(str(folder), shuffle=True, drop_last=True)
        loader = litdata.StreamingDataLoader(stored, batch_size=batch_size, collate_fn=_collate)
        while True:
            yield from loader


class GrainArrayRecord:
    name = "grain + array_record"
    samples = 8_192

    def write(self, folder: Path, shards: Iterable[Rows], num_rows: int) -> None:
        from array_record.python.array_record_module import ArrayRecordWriter

        folder.mkdir(parents=True)
        for index, rows in enumerate(shards):
            writer = ArrayRecordWriter(str(folder / f"{index}.array_record"), "group_size:1")
            for text, codes in zip(rows.padded, rows.codes, strict=True):
                writer.write(text.tobytes() + codes.tobytes())
            writer.close()

    def batches(self, folder: Path, batch_size: int) -> Iterator[Pair]:
        import grain

        source = grain.sources.ArrayRecordDataSource(sorted(map(str, folder.iterdir())))
        stored = grain.MapDataset.source(source).shuffle(seed=0).map(_parse).repeat()
        yield from stored.batch(batch_size, drop_remainder=True, batch_fn=_collate).to_iter_dataset(
            grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)
        )


class MosaicStreaming:
    name = "MosaicML Streaming (MDS)"
    samples = 8_192

    def write(self, folder: Path, shards: Iterable[Rows], num_rows: int) -> None:
        from streaming import MDSWriter

        columns = {"text": "ndarray:uint16:256", "codes": "ndarray:uint16:1024"}
        with MDSWriter(out=str(folder), columns=columns) as writer:
            for sample in _samples(shards):
                writer.write(sample)

    def batches(self, folder: Path, batch_size: int) -> Iterator[Pair]:
        from streaming import StreamingDataset
        from torch.utils.data import DataLoader

        stored = StreamingDataset(local=str(folder), shuffle=True, batch_size=batch_size)
        loader = DataLoader(stored, batch_size=batch_size, collate_fn=_collate, drop_last=True)
        while True:
            yield from loader


class WebDataset:
    name = "WebDataset"
    samples = 8_192

    def write(self, folder: Path, shards: Iterable[Rows], num_rows: int) -> None:
        folder.mkdir(parents=True)
        number = itertools.count()
        for index, rows in enumerate(shards):
            with tarfile.open(folder / f"{index:05d}.tar", "w") as tar:
                for text, codes in zip(rows.padded, rows.codes, strict=True):
                    key = f"{next(number):09d}"
                    for ending, array in (("text.npy", text), ("codes.npy", codes)):
                        sink = io.BytesIO()
                        np.save(sink, array)
                        entry = tarfile.TarInfo(f"{key}.{ending}")
                        entry.size = len(sink.getvalue())
                        tar.addfile(entry, io.BytesIO(sink.getvalue()))

    def batches(self, folder: Path, batch_size: int) -> Iterator[Pair]:
        import webdataset

        paths = sorted(map(str, folder.iterdir()))
        stored = webdataset.WebDataset(paths, shardshuffle=len(paths), seed=0)
        tuples = stored.shuffle(SHUFFLE_BUFFER).decode().to_tuple("text.npy", "codes.npy")
        batched = tuples.batched(batch_size, partial=False)
        while True:
            for text, codes in batched:
                yield np.asarray(text), np.asarray(codes)


LOADERS: tuple[Loader, ...] = (
    Pairmill(),
    HuggingFaceMap(),
    LitData(),
    GrainArrayRecord(),
    MosaicStreaming(),
    WebDataset(),
    HuggingFaceStream(),
)


def _samples(shards: Iterable[Rows]) -> Iterator[dict[str, np.ndarray]]:
    for rows in shards:
        for text, codes in zip(rows.padded, rows.codes, strict=True):
            yield {"text": text, "codes": codes}


def _parse(record: bytes) -> dict[str, np.ndarray]:
    both = np.frombuffer(record, np.uint16)
    return {"text": both[:256], "codes": both[256:]}


def _collate(samples: Any) -> Pair:
    return (
        np.stack([sample["text"] for sample in samples]),
        np.stack([sample["codes"] for sample in samples]),
    )
