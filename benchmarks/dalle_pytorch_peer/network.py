"""DALLE-pytorch's network of a given size, for both of its programs here.

What its package imports for other tokenizers than the one used here (taming-transformers,
OmegaConf) is stood in for by empty modules: their versions of today no longer load.
"""

import argparse
import sys
import types
from collections.abc import Sequence
from unittest.mock import MagicMock

for name in ("omegaconf", "taming", "taming.models", "taming.models.vqgan"):
    sys.modules[name] = MagicMock(spec=types.ModuleType(name), __path__=[], __spec__=None)
    sys.modules[name].OmegaConf = sys.modules[name].VQModel = sys.modules[name].GumbelVQ = None

import torch  # noqa: E402 - after the stand-ins
from dalle_pytorch import DALLE, DiscreteVAE  # noqa: E402

SIZES = ("layers", "width", "text_slots", "grid", "image_vocabulary", "batch", "threads")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    for name in SIZES:
        parser.add_argument(f"--{name}", type=int, required=True)
    return parser


def make_network(
    args: argparse.Namespace, attention: Sequence[str], kind: type[DALLE] = DALLE
) -> DALLE:
    vae = DiscreteVAE(
        image_size=args.grid * 8,
        num_layers=3,
        num_tokens=args.image_vocabulary,
        codebook_dim=8,
        hidden_dim=8,
    )
    torch.manual_seed(0)
    return kind(
        dim=args.width,
        vae=vae,
        num_text_tokens=16_384,
        text_seq_len=args.text_slots,
        depth=args.layers,
        heads=args.width // 64,
        dim_head=64,
        attn_types=tuple(attention),
    )
