"""Pictures that become codes per second and core, by arithmetic: ours, and OpenAI's module.

    uv venv /tmp/peer
    VIRTUAL_ENV=/tmp/peer uv pip install DALL-E attrs requests torch torchvision
    python benchmarks/encode.py --peer_python /tmp/peer/bin/python

The published dVAE encoder (272 GFLOP a picture) with random weights of the published spread, one
file for all: speed does not depend on what is in it. JPEGs of 288 x 384 px, q95, as fetch stores
them, of 1/f noise. One thread of torch each, as a build runs a process per core. Figures are of CPU
seconds where the machine has no GPU, for others may share its cores.

    eager   the same network in float32, NCHW, no compiler: what `x fp32` is measured against
    ours    NetworkTokenizer in each arithmetic that this machine has (tokens/numerics.py)
    notebook  dall_e's Encoder as its notebook usage.ipynb calls it: PIL, resize and centre crop by
            torchvision, one picture at a time

Each round runs every program once, in turn; medians. `load` decodes and crops, `encode` makes codes
of what is loaded, `both` is their sum on a CPU and the stream of both on a GPU. `agreement` is the
share of codes that equal the reference's on the round's pictures.

Where torch finds a GPU, its arithmetics are measured instead, loading by threads included. The goal
is 1,000 pictures a second on an H200; nobody has measured it yet.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from pipelines.encoding.read_ahead import feeding_threads, map_ahead
from tokens.crops import centre_crop
from tokens.dvae import Dvae, DvaeSizes
from tokens.dvae_file import dvae_bytes
from tokens.exact import exact_arithmetic
from tokens.image import load_image_tokenizer, parse_weights
from tokens.numerics import REFERENCE, Numerics, count_gpus
from tokens.pixels import read_stored

HERE = Path(__file__).parent / "encoding"
SIDE_PX = 256
CPU_MODES = (REFERENCE, Numerics("fp32_compiled"), Numerics("bf16"))
GPU_MODES = (Numerics("fp32", "cuda"), Numerics("fp16", "cuda"))

Encode = Callable[[np.ndarray], np.ndarray]


@dataclass
class Program:
    """One of the programs, and what its rounds took per picture."""

    name: str
    load: Callable[[bytes], np.ndarray]
    encode: Encode
    load_s: list[float] = field(default_factory=list)
    encode_s: list[float] = field(default_factory=list)
    codes: Any = None

    def run_round(self, pictures: list[bytes]) -> None:
        start = time.process_time()
        crops = [self.load(data) for data in pictures]
        loaded = time.process_time()
        self.codes = np.stack([self.encode(crop) for crop in crops])
        done = time.process_time()
        self.load_s.append((loaded - start) / len(pictures))
        self.encode_s.append((done - loaded) / len(pictures))


@dataclass
class Peer:
    """The notebook's program in an environment of its own, waiting for its rounds."""

    python: str
    folder: Path
    name: str = "notebook"
    load_s: list[float] = field(default_factory=list)
    encode_s: list[float] = field(default_factory=list)
    codes: Any = None

    def __post_init__(self) -> None:
        self._process = subprocess.Popen(
            [self.python, str(HERE / "notebook.py"), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ask("ready")

    def run_round(self, pictures: list[bytes]) -> None:
        assert self._process.stdin is not None
        print(len(pictures), file=self._process.stdin, flush=True)
        found = json.loads(self._ask("{"))
        self.load_s.append(found["load_s"])
        self.encode_s.append(found["encode_s"])
        self.codes = np.load(self.folder / "notebook.npy")

    def close(self) -> None:
        self._process.communicate()

    def _ask(self, beginning: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(beginning):
                return line
        raise RuntimeError(f"the notebook's program ended with {self._process.wait()}")


def draw_picture(seed: int) -> bytes:
    """1/f noise, as spectra of photographs fall, 384 x 288 px."""
    draws = np.random.default_rng(seed)
    distance = np.hypot(np.fft.fftfreq(288)[:, None], np.fft.fftfreq(384)[None])
    distance[0, 0] = 1
    channels = [
        np.fft.ifft2(np.fft.fft2(draws.standard_normal((288, 384))) / distance).real
        for _ in range(3)
    ]
    noise = np.stack(channels, axis=-1)
    scaled = (noise - noise.min()) / np.ptp(noise) * 255
    data = cv2.imencode(".jpg", scaled.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    return bytes(data.tobytes())


def write_inputs(folder: Path, num_pictures: int, hidden: int) -> list[bytes]:
    torch.manual_seed(0)
    model = Dvae(DvaeSizes(hidden=hidden, decoder_init=1))
    (folder / "dvae.safetensors").write_bytes(dvae_bytes(model, {}, torch.float32, only="encoder."))
    torch.save(model.encoder.state_dict(), folder / "encoder.pt")
    pictures = [draw_picture(seed) for seed in range(num_pictures)]
    for number, data in enumerate(pictures):
        (folder / f"{number:05d}.jpg").write_bytes(data)
    return pictures


def crop_picture(data: bytes) -> np.ndarray:
    return centre_crop(read_stored(data), SIDE_PX)


def make_eager(folder: Path) -> Program:
    """float32 in torch's own layout: no compiler, no channels last."""
    file = parse_weights((folder / "dvae.safetensors").read_bytes(), "dvae.safetensors")

    def encode(crop: np.ndarray) -> np.ndarray:
        with exact_arithmetic(torch.device("cpu")):
            pixels = torch.from_numpy(crop).permute(2, 0, 1)[None].contiguous().float() / 255
            codes: np.ndarray = file.model.codes(pixels)[0].numpy()
        return codes

    return Program("eager", crop_picture, encode)


def make_ours(folder: Path, numerics: Numerics) -> Program:
    tokenizer = load_image_tokenizer(str(folder / "dvae.safetensors"), numerics)
    return Program(str(numerics), crop_picture, lambda crop: tokenizer.encode(crop[None])[0])


def measure_cpu(args: argparse.Namespace, folder: Path, pictures: list[bytes]) -> None:
    programs: list[Program | Peer] = [make_eager(folder)]
    programs += [make_ours(folder, numerics) for numerics in CPU_MODES]
    if args.peer_python:
        programs.append(Peer(args.peer_python, folder))
    for program in programs:  # to compile, and to fill caches
        program.run_round(pictures[:1])
        program.load_s.clear()
        program.encode_s.clear()
    for _ in range(args.rounds):
        for program in programs:
            program.run_round(pictures)
            seconds = round(program.encode_s[-1], 3)
            print(json.dumps({"program": program.name, "encode_s": seconds}), flush=True)
    eager, reference = programs[0], programs[1]
    for program in programs:
        load_s, encode_s = map(statistics.median, (program.load_s, program.encode_s))
        line = {
            "program": program.name,
            "load_ms": round(1000 * load_s, 1),
            "encode_ms": round(1000 * encode_s, 1),
            "pictures_per_cpu_s": round(1 / (load_s + encode_s), 3),
            "x_eager": round(statistics.median(eager.encode_s) / encode_s, 2),
            "agreement": round(float((program.codes == reference.codes).mean()), 5),
        }
        print(json.dumps(line), flush=True)
        if isinstance(program, Peer):
            program.close()


def measure_gpu(args: argparse.Namespace, folder: Path, pictures: list[bytes]) -> None:
    """Wall seconds: of codes alone, and of JPEGs to codes with threads that decode."""
    reference = load_image_tokenizer(str(folder / "dvae.safetensors"))
    exact = reference.encode(np.stack([crop_picture(data) for data in pictures[:8]]))
    loaded = [load_image_tokenizer(str(folder / "dvae.safetensors"), one) for one in GPU_MODES]
    crops = [crop_picture(data) for data in pictures]
    rates: dict[tuple[str, str], list[float]] = {}
    for number in range(args.rounds + 1):
        for tokenizer in loaded:
            threads = feeding_threads(tokenizer.numerics)
            streams: dict[str, Iterator[np.ndarray]] = {
                "codes": iter(crops),
                "jpegs_to_codes": map_ahead(crop_picture, pictures, threads),
            }
            for what, stream in streams.items():
                start = time.perf_counter()
                done = sum(1 for _ in tokenizer.encode_each(stream))
                rate = done / (time.perf_counter() - start)
                if number:  # the first round records the graph
                    rates.setdefault((tokenizer.numerics, what), []).append(rate)
    for tokenizer in loaded:
        found = tokenizer.encode(np.stack(crops[:8]))
        line = {
            "program": tokenizer.numerics,
            "device": torch.cuda.get_device_name(),
            "agreement": round(float((found == exact).mean()), 5),
        }
        for what in ("codes", "jpegs_to_codes"):
            line[f"{what}_per_s"] = round(statistics.median(rates[tokenizer.numerics, what]), 1)
        print(json.dumps(line), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--peer_python", metavar="FILE", help="Python in which the package DALL-E is installed")
    add("--pictures", type=int, metavar="N", help="of a round (default: 2, on a GPU 2,048)")
    add("--rounds", type=int, default=5, metavar="N", help="default: 5")
    add(
        "--hidden", type=int, default=256, metavar="N", help="first width (default: 256, published)"
    )
    args = parser.parse_args()
    on_gpu = count_gpus() > 0
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = write_inputs(folder, args.pictures or (2048 if on_gpu else 2), args.hidden)
        (measure_gpu if on_gpu else measure_cpu)(args, folder, pictures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
