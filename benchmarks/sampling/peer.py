"""DALLE-pytorch's cached generation, one round per line of input: the peer of benchmarks/sample.py.

Runs in an environment of its own. What its package imports for other tokenizers than the one used
here (taming-transformers, OmegaConf) is stood in for by empty modules: their versions of today no
longer load.

`generate_images(use_cache=True)` of 1.6.6 forgets the cache at a `cond_scale` of 1
(`forward_with_cond_scale` passes it on at other scales alone) and reads the whole sequence again
for every code; "cached" mends that, "published" leaves it. Its default of the likelier half of all
logits holds every image code, since those of text are masked away. Codes only: decoding them to
pixels is left out.
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

import torch  # noqa: E402 - after the stand-ins
from dalle_pytorch import DALLE, DiscreteVAE  # noqa: E402


class MendedDALLE(DALLE):
    def forward_with_cond_scale(self, *args, cond_scale=1, cache=None, **kwargs):
        if cond_scale == 1:
            return self(*args, cache=cache, **kwargs)
        return super().forward_with_cond_scale(*args, cond_scale=cond_scale, cache=cache, **kwargs)


def make_network(args: argparse.Namespace, kind: type[DALLE]) -> DALLE:
    vae = DiscreteVAE(
        image_size=args.grid * 8,
        num_layers=3,
        num_tokens=args.image_vocabulary,
        codebook_dim=8,
        hidden_dim=8,
    )
    vae.decode = lambda codes: codes
    torch.manual_seed(0)
    return kind(
        dim=args.width,
        vae=vae,
        num_text_tokens=16_384,
        text_seq_len=args.text_slots,
        depth=args.layers,
        heads=args.width // 64,
        dim_head=64,
        attn_types=tuple(args.attention.split(",")),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("layers", "width", "text_slots", "grid", "image_vocabulary", "batch", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--attention", default="full")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    networks = {"cached": make_network(args, MendedDALLE), "published": make_network(args, DALLE)}
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
