"""Sampling speed: ours against DALLE-pytorch's cached generation on a CPU, and ours on a GPU.

    uv venv /tmp/peer && export VIRTUAL_ENV=/tmp/peer
    uv pip install --no-deps dalle-pytorch==1.6.6
    uv pip install torch torchvision einops axial-positional-embedding rotary-embedding-torch \\
        tokenizers ftfy regex requests tqdm packaging webdataset pyyaml transformers youtokentome
    OMP_NUM_THREADS=1 python benchmarks/sample.py --peer_python /tmp/peer/bin/python
    python benchmarks/sample.py --gpu

On a CPU: the same width, depth, slots, codes and batch for both, random weights (speed does not
depend on them), codes without decoding to pixels. Ours has the paper's masks, as it is trained;
the peer its default, dense causal attention, token shift and rotary positions. What it calls
cached generation forgets its cache at the default scale, so it is measured mended, too
(sampling/peer.py). Rounds alternate; medians. Where other work shares the machine, CPU seconds say
more than those of the wall clock.

On a GPU (`--gpu`): seconds per picture of 1,024 codes at batch 1 and pictures per second at batch
64, bf16, after the step has been compiled and captured, with the share of the memory's bandwidth
that reading weights and allowed keys once per code comes to.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from model.config import PRESETS, Network
from model.sampling.choosing import draw_uniforms
from model.sampling.generation import Choice, Generator
from model.transformer import Transformer
from tokens.sequence import SequenceLayout

PEER = Path(__file__).parent / "sampling" / "peer.py"
PEER_FLAGS = ("layers", "width", "text_slots", "grid", "image_vocabulary", "batch", "threads")
GPU_ROUNDS = 5


def make_generator(network: Network, layout: SequenceLayout, batch: int) -> Generator:
    model = Transformer(network, layout)
    if torch.cuda.is_available():
        model.to("cuda", torch.bfloat16)
    return Generator(model, batch, Choice())


def draw_once(generator: Generator) -> dict[str, float]:
    """Wall and CPU seconds of one batch."""
    layout, batch = generator.model.layout, generator.batch_size
    text_BT = torch.randint(layout.text_vocab_size, (batch, layout.text_slots))
    uniforms_BI = draw_uniforms(range(batch), layout.num_codes)
    wall, cpu = time.perf_counter(), time.process_time()
    generator.draw(text_BT, text_BT[0], uniforms_BI).cpu()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def on_cpu(args: argparse.Namespace) -> dict[str, object]:
    layout = SequenceLayout(
        text_slots=args.text_slots,
        grid_height=args.grid,
        grid_width=args.grid,
        image_vocab_size=args.image_vocabulary,
    )
    generator = make_generator(Network(args.layers, args.width), layout, args.batch)
    times: dict[str, list[dict[str, float]]] = {"pairmill": [], "cached": [], "published": []}
    draw_once(generator)
    if args.peer_python is None:
        times["pairmill"] = [draw_once(generator) for _ in range(args.rounds)]
        return summarise(times)
    with start_peer(args) as peer:
        ask(peer, "cached")
        for number in range(args.rounds):
            times["pairmill"].append(draw_once(generator))
            times["cached"].append(ask(peer, "cached"))
            if number < args.published_rounds:
                times["published"].append(ask(peer, "published"))
        peer.stdin.close()
    return summarise(times)


def start_peer(args: argparse.Namespace) -> subprocess.Popen[str]:
    flags = [item for name in PEER_FLAGS for item in (f"--{name}", str(getattr(args, name)))]
    command = [args.peer_python, "-W", "ignore", str(PEER), *flags]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )


def ask(peer: subprocess.Popen[str], kind: str) -> dict[str, float]:
    peer.stdin.write(f"{kind}\n")
    line = peer.stdout.readline()
    if not line:
        raise RuntimeError(f"{PEER} ended; what it said stands above")
    return dict(json.loads(line))


def summarise(times: dict[str, list[dict[str, float]]]) -> dict[str, object]:
    """Medians of seconds per batch, and how many times as long each of the others takes."""
    found: dict[str, object] = {}
    for clock in ("cpu", "wall"):
        medians = {
            name: statistics.median(round_[clock] for round_ in rounds)
            for name, rounds in times.items()
            if rounds
        }
        found[f"{clock}_s"] = {name: round(value, 3) for name, value in medians.items()}
        found[f"{clock}_ratio"] = {
            name: round(value / medians["pairmill"], 2)
            for name, value in medians.items()
            if name != "pairmill"
        }
    return found


def on_gpu() -> dict[str, object]:
    """At the preset of 350 M parameters and the paper's sequence."""
    found: dict[str, object] = {"card": torch.cuda.get_device_name()}
    for batch in (1, 64):
        generator = make_generator(PRESETS["medium"].network, SequenceLayout(), batch)
        torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        draw_once(generator)
        first_s = time.perf_counter() - start
        wall_s = statistics.median(draw_once(generator)["wall"] for _ in range(GPU_ROUNDS))
        found[f"batch {batch}"] = {
            "seconds per picture": round(wall_s / batch, 4),
            "pictures per second": round(batch / wall_s, 2),
            "gigabytes read per second": round(bytes_per_code(generator) * 1023 / wall_s / 1e9),
            "seconds of the first batch": round(first_s, 1),
            "peak gigabytes": round(torch.cuda.max_memory_allocated() / 1e9, 2),
        }
    return found


def bytes_per_code(generator: Generator) -> int:
    """Weights that a step multiplies by, and the keys and values that it may see."""
    model, decoder = generator.model, generator.decoder
    weights = [p for block in model.blocks for p in block.parameters()] + [model.image_head.weight]
    seen = [tensor for cache in decoder.caches for tensor in (cache.k_BHSK, cache.v_BHSK)]
    return sum(tensor.numel() * tensor.element_size() for tensor in weights + seen)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Sampling speed beside DALLE-pytorch's, or on a GPU.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--peer_python", help="of an environment with dalle-pytorch; default: ours alone")
    add("--gpu", action="store_true", help="measure ours on a CUDA device instead")
    add("--layers", type=int, default=4, help="those of the preset tiny")
    add("--width", type=int, default=192, help="those of the preset tiny")
    add("--text_slots", type=int, default=64, help="caption slots")
    add("--grid", type=int, default=16, help="rows and columns of codes")
    add("--image_vocabulary", type=int, default=1024, help="codes that there are")
    add("--batch", type=int, default=16, help="pictures at a time")
    add("--threads", type=int, default=1, help="of torch, in both")
    add("--rounds", type=int, default=5, help="of ours and of the mended peer")
    add("--published_rounds", type=int, default=0, help="of the peer as published, minutes each")
    args = parser.parse_args()
    if args.gpu:
        if not torch.cuda.is_available():
            print("sample: torch finds no CUDA device", file=sys.stderr)
            return 2
        print(json.dumps(on_gpu(), indent=1))
        return 0
    torch.set_num_threads(args.threads)
    print(json.dumps(on_cpu(args), indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
