"""DALLE-pytorch's cached generation, one round per line of input: the peer of benchmarks/sample.py.

Runs in an environment of its own.

`generate_images(use_cache=True)` of 1.6.6 forgets the cache at a `cond_scale` of 1
(`forward_with_cond_scale` passes it on at other scales alone) and reads the whole sequence again
for every code; "cached" mends that, "published" leaves it. Its default of the likelier half of all
logits holds every image code, since those of text are masked away. Codes only: decoding them to
pixels is left out.
"""

import json
import sys
import time

import torch
from network import DALLE, make_network, make_parser


class MendedDALLE(DALLE):
    def forward_with_cond_scale(self, *args, cond_scale=1, cache=None, **kwargs):
        if cond_scale == 1:
            return self(*args, cache=cache, **kwargs)
        return super().forward_with_cond_scale(*args, cond_scale=cond_scale, cache=cache, **kwargs)


def make_sampler(args, kind):
    network = make_network(args, args.attention.split(","), kind)
    network.vae.decode = lambda codes: codes
    return network


def main() -> None:
    parser = make_parser()
    parser.add_argument("--attention", default="full")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    networks = {"cached": make_sampler(args, MendedDALLE), "published": make_sampler(args, DALLE)}
    text = torch.randint(1, 16_384, (args.batch, args.text_slots))
    for line in sys.stdin:
        network = networks[line.strip()]
        wall, cpu = time.perf_counter(), time.process_time()
        codes = network.generate_images(text.clone(), use_cache=True)
        spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        assert codes.shape == (args.batch, args.grid**2)
        print(json.dumps(spent), flush=True)


if __name__ == "__main__":
    main()
