"""Our scoring of FOLDER/pairs.parquet, a process per core; a round for each line of stdin."""

import json
import multiprocessing
import os
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from filters.signals.clip import Clip
from pipelines.score import score_pairs


def serve(connection: Connection, folder: Path, part: int, parts: int, batch: int) -> None:
    """Score every n-th pair each time that it is asked; answers with CPU seconds."""
    cv2.setNumThreads(1)
    table = pq.read_table(folder / "pairs.parquet")
    mine = table.take(list(range(part, len(table), parts)))
    mine = mine.append_column("pair_id", pa.array([bytes(16)] * len(mine), pa.binary(16)))
    clip = Clip(
        "ViT-B-32",
        str(folder / "weights.safetensors"),
        batch_size=batch,
        device="cpu",
        precision="fp32",
        store_embeddings="fp16",
    )
    signal, columns = clip.load(), dict(clip.columns)
    while True:
        cpu = time.process_time()
        scored = score_pairs(mine, columns, [signal])
        pq.write_table(scored, folder / f"ours-{part}.parquet")
        connection.send(time.process_time() - cpu)  # the first: warm, and not asked for
        try:
            connection.recv()
        except EOFError:
            return  # no further round


def main() -> None:
    folder, batch, cores = Path(sys.argv[1]), int(sys.argv[2]), os.cpu_count() or 1
    spawn = multiprocessing.get_context("spawn")
    ends = [spawn.Pipe() for _ in range(cores)]
    for part, (_, theirs) in enumerate(ends):
        task = (theirs, folder, part, cores, batch)
        spawn.Process(target=serve, args=task, daemon=True).start()
    for ours, _ in ends:
        ours.recv()
    pictures = save_embeddings(folder, cores)
    print("ready", flush=True)
    for _ in sys.stdin:
        wall = time.monotonic()
        for ours, _ in ends:
            ours.send("again")
        cpu_s = sum(ours.recv() for ours, _ in ends)
        spent = {"wall_s": time.monotonic() - wall, "cpu_s": cpu_s}
        print(json.dumps({"pictures": pictures} | spent), flush=True)


def save_embeddings(folder: Path, cores: int) -> int:
    """One matrix out of the processes' files; returns its rows."""
    parts = [pq.read_table(folder / f"ours-{part}.parquet") for part in range(cores)]
    rows = sum(map(len, parts))
    vectors = np.empty((rows, 512), np.float16)
    for part, table in enumerate(parts):
        vectors[part::cores] = np.stack(table["clip_image_embedding"].to_pylist())
    np.save(folder / "ours.npy", vectors)
    return rows


if __name__ == "__main__":
    main()
