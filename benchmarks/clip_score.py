"""Pairs that CLIP scores per second: ours, clip-retrieval's inference, open_clip by its README.

    uv venv /tmp/peer && VIRTUAL_ENV=/tmp/peer uv pip install clip-retrieval 'setuptools<81'
    python benchmarks/clip_score.py --peer_python /tmp/peer/bin/python

Drawn pictures of 288 x 384 px, JPEG q95 as fetch stores them, with captions; ViT-B/32 in fp32
with random weights, one file for all (speed does not depend on what is in it). Each program
decodes, preprocesses, tokenizes, embeds both and writes the embeddings as fp16, `--batch` pairs at
a time; loading, and a round to warm up, are left out.

    ours   score_pairs with [score.clip], a process per core with one thread of torch each, as a
           build runs it (clip_scoring/ours.py)
    peer   clip-retrieval's reader (two tars, a DataLoader worker per core), mapper and writer in
           the order of its Runner; torch has all cores (clip_scoring/peer.py)
    plain  PIL and create_model_and_transforms, a picture after another into a batch; torch has all
           cores (clip_scoring/plain.py)

Rounds alternate; medians. Where other work shares the machine, CPU seconds say more than those of
the wall clock. The least cosine of our picture embeddings with those of `plain` is printed, too.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MODEL = "ViT-B-32"
HERE = Path(__file__).parent / "clip_scoring"
WORDS = ("a", "the", "red", "boat", "house", "two", "dogs", "asleep", "on", "under", "old", "tree")


def draw_pair(seed: int) -> tuple[bytes, str]:
    draws = np.random.default_rng(seed)
    coarse = draws.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (384, 288), interpolation=cv2.INTER_CUBIC)
    noisy = np.clip(picture + draws.integers(-9, 10, picture.shape), 0, 255).astype(np.uint8)
    data = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    return data, " ".join(draws.choice(WORDS, int(draws.integers(4, 16))))


def write_inputs(folder: Path, num_pictures: int) -> None:
    """The weights, and the pairs as every program wants them."""
    import open_clip
    from safetensors.torch import save_file

    model = open_clip.create_model(MODEL)
    weights = {name: one.contiguous() for name, one in model.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    pairs = [draw_pair(seed) for seed in range(num_pictures)]
    pq.write_table(
        pa.table({"image": [one for one, _ in pairs], "caption": [two for _, two in pairs]}),
        folder / "pairs.parquet",
    )
    for part in (0, 1):
        with tarfile.open(folder / f"{part}.tar", "w") as tar:
            for number, (picture, caption) in list(enumerate(pairs))[part::2]:
                _add(tar, f"{number:05d}.jpg", picture)
                _add(tar, f"{number:05d}.txt", caption.encode())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


class Program:
    """One of the programs, loaded and waiting for its rounds."""

    def __init__(self, python: str, name: str, folder: Path, batch: int) -> None:
        environment = os.environ | {
            "PYTHONPATH": str(HERE.parent.parent),
            "PYTHONWARNINGS": "ignore",
        }
        self.name, self.rounds = name, list[dict[str, float]]()
        self._process = subprocess.Popen(
            [python, str(HERE / f"{name}.py"), str(folder), str(batch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._read("ready")

    def run_round(self) -> None:
        assert self._process.stdin is not None
        print("go", file=self._process.stdin, flush=True)
        self.rounds.append(json.loads(self._read("{")))
        print(json.dumps({"program": self.name} | self.rounds[-1]), flush=True)

    def close(self) -> None:
        self._process.communicate()

    def median(self, unit: str) -> float:
        """Pictures per second of wall or cpu."""
        return statistics.median(one["pictures"] / one[f"{unit}_s"] for one in self.rounds)

    def _read(self, beginning: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(beginning):
                return line
        raise RuntimeError(f"{self.name} ended with {self._process.wait()}")


def compare_embeddings(folder: Path) -> float:
    """The least cosine of our picture embeddings with open_clip's own."""
    ours, theirs = (
        np.load(folder / f"{name}.npy").astype(np.float32) for name in ("ours", "plain")
    )
    return float((ours * theirs).sum(axis=1).min())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer_python", help="Python in which clip-retrieval is installed")
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    pythons = {"ours": sys.executable, "plain": sys.executable}
    if args.peer_python:
        pythons["peer"] = args.peer_python
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, args.pictures)
        programs = [Program(python, name, folder, args.batch) for name, python in pythons.items()]
        for _ in range(args.rounds):
            for program in programs:
                program.run_round()
        for program in programs:
            program.close()
        cosine = compare_embeddings(folder)
    for program in programs:
        rates = {
            f"pictures_per_{unit}_s": round(program.median(unit), 2) for unit in ("wall", "cpu")
        }
        print(json.dumps({"program": program.name, "median_of": args.rounds} | rates))
    print(json.dumps({"least_cosine_with_open_clip": round(cosine, 6)}))


if __name__ == "__main__":
    main()
