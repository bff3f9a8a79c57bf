"""Training speed: ours against DALLE-pytorch on a CPU; the share of a GPU's peak that is used.

    uv venv /tmp/peer          # as benchmarks/sample.py says
    OMP_NUM_THREADS=1 python benchmarks/train.py --peer_python /tmp/peer/bin/python
    python benchmarks/train.py --gpu

On a CPU: the same layers, width, slots, codes, vocabularies and batch for both, training from the
same stored tokens (a file of arrays; benchmarks/loader.py measures our loader). Captions of 4 to 24
words. A step is forward, backward, clipping and the optimiser's update. Ours is the preset tiny as
it is, with dropout; `all pads` counts every pad in the text loss, as the peer does. The peer is
measured with its nearest to the paper's masks and with its default, dense attention. Rounds
alternate; medians of seconds per round of --steps steps.

On a GPU (`--gpu`): MFU = sequences per second x operations per sequence / 989e12, operations as
model/network/flops.py counts them for the masks in use:

    3 x (24 L D^2 x layers + 4 D x visible pairs of all layers + 2 D x logits)

at 124 M, 350 M and 1.3 B parameters (small, medium, large), the paper's sequence, bf16, blocks
compiled, AdamW: ours with the paper's masks (FlexAttention), ours dense causal, and GPT-2 of the
same size as nanoGPT has it (training/gpt2.py; its operations counted likewise).
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from beside.dalle_pytorch import ask, make_layout, make_parser, start_peer, summarise
from torch import Tensor
from training import gpt2

from model.config import PRESETS, Network, Optim
from model.network.flops import DENSE_BF16_FLOPS, training_flops
from model.optim import AdamW, clip_gradients
from model.training.precision import make_precision
from model.transformer import IMAGE_WEIGHT, TEXT_WEIGHT, Transformer
from tokens.sequence import SequenceLayout, lay_out_text

MICRO_BATCH = {"small": 64, "medium": 32, "large": 16}
GPU_STEPS = 20


def make_step(network: Network, layout: SequenceLayout, precision_name: str, device: torch.device):
    """A function that trains on one batch."""
    model = Transformer(network, layout).to(device).train()
    if device.type == "cuda":
        for block in model.blocks:
            block.compile(dynamic=False)
    precision, optimizer = make_precision(precision_name, model), AdamW(model, Optim())
    steps = iter(range(1 << 30))

    def step(text_BT: Tensor, image_BI: Tensor) -> None:
        with precision.compute():
            losses = model(text_BT, image_BI)
            loss = TEXT_WEIGHT * losses.text_N.mean() + IMAGE_WEIGHT * losses.image_BI.mean()
        precision.backward(loss)
        precision.unscale()
        norm = clip_gradients(model.parameters(), 4.0)
        optimizer.step(next(steps), 1e-4, min(norm, 4.0))

    return step


def draw_tokens(layout: SequenceLayout, rows: int) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    lengths = draws.integers(4, 25, rows)
    ids = draws.integers(1, layout.text_vocab_size, lengths.sum())
    text = lay_out_text(layout, ids, np.cumsum([0, *lengths]))
    return text.astype(np.int64), draws.integers(
        0, layout.image_vocab_size, (rows, layout.num_codes)
    )


def on_cpu(args: argparse.Namespace) -> dict[str, object]:
    layout = make_layout(args)
    text, image = draw_tokens(layout, args.batch * args.steps)
    network = replace(PRESETS["tiny"].network, num_layers=args.layers, width=args.width)
    kinds = {"pairmill": network, "all pads": replace(network, counted_pads="all")}
    steps = {
        name: make_step(kind, layout, "fp32", torch.device("cpu")) for name, kind in kinds.items()
    }
    times: dict[str, list[dict[str, float]]] = {}
    with tempfile.NamedTemporaryFile(suffix=".npz") as tokens:
        np.savez(tokens, text=text, image=image)
        tokens.flush()
        stored = np.load(tokens.name)
        batches = list(
            cut(torch.from_numpy(stored["text"]), torch.from_numpy(stored["image"]), args.batch)
        )
        more = ("--steps", str(args.steps), "--tokens", tokens.name)
        with start_peer(args, "train.py", *more) as peer:
            rounds: dict[str, Callable[[], dict[str, float]]] = {
                **{name: lambda step=step: timed(step, batches) for name, step in steps.items()},
                **{
                    f"peer, {kind}": lambda kind=kind: ask(peer, kind)
                    for kind in ("masks", "dense")
                },
            }
            for run in rounds.values():
                run()
            for _ in range(args.rounds):
                for name, run in rounds.items():
                    times.setdefault(name, []).append(run())
            peer.stdin.close()
    return summarise(times)


def cut(text: Tensor, image: Tensor, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    yield from zip(text.split(batch), image.split(batch), strict=True)


def timed(step: Callable[[Tensor, Tensor], None], batches: list[tuple[Tensor, Tensor]]):
    wall, cpu = time.perf_counter(), time.process_time()
    for text, image in batches:
        step(text, image)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def on_gpu() -> dict[str, object]:
    found: dict[str, object] = {"card": torch.cuda.get_device_name()}
    for preset, batch in MICRO_BATCH.items():
        network, layout = PRESETS[preset].network, SequenceLayout()
        found[preset] = measure_size(network, layout, batch, torch.device("cuda"))
    return found


def measure_size(network: Network, layout: SequenceLayout, batch: int, device: torch.device):
    """Sequences per second and MFU of the three networks at one size."""
    text, image = (torch.from_numpy(part).to(device) for part in draw_tokens(layout, batch))
    rates: dict[str, tuple[float, float]] = {}
    for name, kind in (("paper's masks", "paper"), ("dense causal", "full")):
        ours = replace(network, attention=kind, counted_pads="all", dropout=0.0)
        step = partial(make_step(ours, layout, "bf16", device), text, image)
        rates[name] = batch / seconds(step, device), training_flops(ours, layout)
        del step
    sizes = (network.num_layers, network.width, layout.length)
    vocabulary = layout.text_outputs + layout.image_vocab_size
    step = make_gpt2_step(sizes, vocabulary, batch, device)
    rates["GPT-2"] = batch / seconds(step, device), gpt2.training_flops(*sizes, vocabulary)
    return {
        name: {
            "sequences per second": round(rate, 2),
            "tokens per second": round(rate * layout.length),
            "MFU, %": round(100 * rate * flops / DENSE_BF16_FLOPS, 1),
        }
        for name, (rate, flops) in rates.items()
    }


def make_gpt2_step(sizes: tuple[int, int, int], vocabulary: int, batch: int, device: torch.device):
    network = gpt2.Gpt2(*sizes, vocabulary).to(device)
    run = torch.compile(network) if device.type == "cuda" else network
    fused = device.type == "cuda"
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, betas=(0.9, 0.95), fused=fused)
    tokens = gpt2.draw_tokens(batch, sizes[2], vocabulary, device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            loss = run(tokens)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def seconds(step: Callable[[], None], device: torch.device, rounds: int = 5) -> float:
    """Of one step: the median of `rounds`, after compilation."""
    wait = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
    steps = GPU_STEPS if device.type == "cuda" else 1
    for _ in range(3):
        step()
    found = []
    for _ in range(rounds):
        wait()
        start = time.perf_counter()
        for _ in range(steps):
            step()
        wait()
        found.append((time.perf_counter() - start) / steps)
    return statistics.median(found)


def main() -> int:
    parser = make_parser(
        "Training speed beside DALLE-pytorch's, or on a GPU.",
        "the interpreter of an environment with dalle-pytorch",
        image_vocabulary=8192,
    )
    add = parser.add_argument
    add("--steps", type=int, default=2, help="per round")
    add("--rounds", type=int, default=5, help="of each program, in turn")
    args = parser.parse_args()
    if args.gpu:
        if not torch.cuda.is_available():
            print("train: torch finds no CUDA device", file=sys.stderr)
            return 2
        print(json.dumps(on_gpu(), indent=1))
        return 0
    if args.peer_python is None:
        print("train: give --peer_python (this file's head tells how), or --gpu", file=sys.stderr)
        return 2
    torch.set_num_threads(args.threads)
    print(json.dumps(on_cpu(args), indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
