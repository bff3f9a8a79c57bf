"""DALLE-pytorch's training, some steps per line of input: the peer of benchmarks/train.py.

Runs in an environment of its own, as sampling/peer.py does. A step is what its train_dalle.py does
with a batch, tokens given instead of pixels: forward, backward, clipping at 0.5, Adam.
"""

import argparse
import json
import sys
import time
import types
from unittest.mock import MagicMock

for name in ("omegaconf", "taming", "taming.models", "taming.models.vqgan"):
    sys.modules[name] = MagicMock(spec=types.ModuleType(name), __path__=[], __spec__=None)
    sys.modules[name].OmegaConf = sys.modules[name].VQModel = sys.modules[name].GumbelVQ = None

import numpy as np  # noqa: E402 - after the stand-ins
import torch  # noqa: E402
from dalle_pytorch import DALLE, DiscreteVAE  # noqa: E402

ATTENTION = {
    "masks": ("axial_row", "axial_col", "axial_row", "axial_row"),
    "dense": ("full",),
}
"""Its nearest to the paper's layers, the convolutional one left out; and its default."""


def make_network(args: argparse.Namespace, kind: str) -> DALLE:
    vae = DiscreteVAE(
        image_size=args.grid * 8,
        num_layers=3,
        num_tokens=args.image_vocabulary,
        codebook_dim=8,
        hidden_dim=8,
    )
    torch.manual_seed(0)
    return DALLE(
        dim=args.width,
        vae=vae,
        num_text_tokens=16_384,
        text_seq_len=args.text_slots,
        depth=args.layers,
        heads=args.width // 64,
        dim_head=64,
        attn_types=ATTENTION[kind],
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("layers", "width", "text_slots", "grid", "image_vocabulary", "batch", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--tokens", required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    stored = np.load(args.tokens)
    text, image = torch.from_numpy(stored["text"]), torch.from_numpy(stored["image"])
    text[text >= 16_384] = 0  # its mark of an empty slot
    networks = {kind: make_network(args, kind) for kind in ATTENTION}
    optimizers = {
        kind: torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=3e-4)
        for kind, network in networks.items()
    }
    for line in sys.stdin:
        network, optimizer = networks[line.strip()], optimizers[line.strip()]
        wall, cpu = time.perf_counter(), time.process_time()
        for step in range(args.steps):
            rows = slice(step * args.batch, (step + 1) * args.batch)
            network(text[rows].clone(), image[rows], return_loss=True).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
            optimizer.step()
            optimizer.zero_grad()
        spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        print(json.dumps(spent), flush=True)


if __name__ == "__main__":
    main()
