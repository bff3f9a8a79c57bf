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
(dalle_pytorch_peer/sample.py). Rounds alternate; medians. Where other work shares the machine, CPU
seconds say more than those of the wall clock.

On a GPU (`--gpu`): seconds per picture of 1,024 codes at batch 1 and pictures per second at batch
64, bf16, after the step has been compiled and captured, with the share of the memory's bandwidth
that reading weights and allowed keys once per code comes to.
"""

import argparse
import json
import statistics
import sys
import time

import torch
from beside.dalle_pytorch import ask, make_layout, make_parser, start_peer, summarise

from model.config import PRESETS, Network
from model.sampling.choosing import draw_uniforms
from model.sampling.generation import Choice, Generator
from model.transformer import Transformer
from tokens.sequence import SequenceLayout

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
    layout = make_layout(args)
    generator = make_generator(Network(args.layers, args.width), layout, args.batch)
    times: dict[str, list[dict[str, float]]] = {"pairmill": [], "cached": [], "published": []}
    draw_once(generator)
    if args.peer_python is None:
        times["pairmill"] = [draw_once(generator) for _ in range(args.rounds)]
        return summarise(times)
    with start_peer(args, "sample.py") as peer:
        ask(peer, "cached")
        for number in range(args.rounds):
            times["pairmill"].append(draw_once(generator))
            times["cached"].append(ask(peer, "cached"))
            if number < args.published_rounds:
                times["published"].append(ask(peer, "published"))
        peer.stdin.close()
    return summarise(times)


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
    parser = make_parser(
        "Sampling speed beside DALLE-pytorch's, or on a GPU.",
        "of an environment with dalle-pytorch; default: ours alone",
        image_vocabulary=1024,
    )
    add = parser.add_argument
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
