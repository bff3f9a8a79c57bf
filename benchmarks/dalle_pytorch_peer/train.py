"""DALLE-pytorch's training, some steps per line of input: the peer of benchmarks/train.py.

Runs in an environment of its own, as sample.py does. A step is what its train_dalle.py does
with a batch, tokens given instead of pixels: forward, backward, clipping at 0.5, Adam.
"""

import json
import sys
import time

import numpy as np
import torch
from network import make_network, make_parser

ATTENTION = {
    "masks": ("axial_row", "axial_col", "axial_row", "axial_row"),
    "dense": ("full",),
}
"""Its nearest to the paper's layers, the convolutional one left out; and its default."""


def main() -> None:
    parser = make_parser()
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--tokens", required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    stored = np.load(args.tokens)
    text, image = torch.from_numpy(stored["text"]), torch.from_numpy(stored["image"])
    text[text >= 16_384] = 0  # its mark of an empty slot
    networks = {kind: make_network(args, attention) for kind, attention in ATTENTION.items()}
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
