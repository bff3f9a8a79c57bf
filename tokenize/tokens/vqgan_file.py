"""The weights file of a VQGAN: safetensors, written and read side by side.

Names are those of taming-transformers; the metadata entry `vqgan` is JSON with the sizes and with
what is known of the weights. LlamaGen's names are translated when its weights are converted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tokens.vqgan import Quantizer, Vqgan, VqganSizes
from tokens.weights import (
    WeightsFile,
    digest,
    fill,
    load_tensors,
    read_about,
    stated_sizes,
    weights_bytes,
)

METADATA_KEY = "vqgan"

VqganFile = WeightsFile[Vqgan]

HALVES = ("encoder.", "decoder.", "quantize.", "quant_conv.", "post_quant_conv.")
"""Of a checkpoint these count; its losses and discriminators were for training."""

_BLOCK = re.compile(r"encoder\.down\.(\d+)\.(block|attn)\.(\d+)\.")
_LLAMAGEN = re.compile(r"(encoder|decoder)\.conv_blocks\.(\d+)\.(res|attn|downsample|upsample)\.")
_LLAMAGEN_MIDDLE = ("block_1", "attn_1", "block_2")


def vqgan_bytes(
    model: Vqgan, details: Mapping[str, Any], dtype: torch.dtype = torch.float32
) -> bytes:
    """The file of a model: the same weights and details give the same bytes."""
    return weights_bytes(METADATA_KEY, model, model.sizes, details, dtype)


def parse_vqgan(data: bytes, origin: str) -> VqganFile:
    """The model in the bytes of a weights file; `origin` names them in messages.

    Raises:
        ValueError: it is not a whole VQGAN of one set of sizes: the message names the first fault.
    """
    tensors, about = load_tensors(data, origin), read_about(data, METADATA_KEY, origin)
    sizes = stated_sizes(about, VqganSizes, origin)
    if sizes is None:
        raise ValueError(f"{origin} states no sizes: make it with tokenize/convert_image.py")
    model = fill(Vqgan, sizes, tensors, origin)
    return WeightsFile(model, True, digest(data), about.get("details", {}))


def from_taming(tensors: Mapping[str, Tensor], origin: str) -> Vqgan:
    """The model of a taming-transformers checkpoint's state dict: VQModel or GumbelVQ."""
    kept = {name: tensor for name, tensor in tensors.items() if name.startswith(HALVES)}
    quantizer: Quantizer = "gumbel" if "quantize.proj.weight" in kept else "nearest"
    return fill(Vqgan, sizes_of(kept, quantizer, origin), kept, origin)


def from_llamagen(tensors: Mapping[str, Tensor], origin: str) -> Vqgan:
    """The model of a LlamaGen tokenizer's state dict, its codebook one of directions."""
    wanted = {n: t for n, t in tensors.items() if n != "quantize.codebook_used"}
    levels = 1 + max((int(match[2]) for match in map(_LLAMAGEN.match, wanted) if match), default=-1)
    named = {_taming_name(name, levels): tensor for name, tensor in wanted.items()}
    return fill(Vqgan, sizes_of(named, "cosine", origin), named, origin)


def _taming_name(name: str, levels: int) -> str:
    """A LlamaGen weight's name in taming's words; its decoder counts levels the other way round."""
    if match := _LLAMAGEN.match(name):
        half, number, part = match[1], int(match[2]), match[3].replace("res", "block")
        level = number if half == "encoder" else levels - 1 - number
        side = "down" if half == "encoder" else "up"
        return f"{half}.{side}.{level}.{part}.{name[match.end() :]}"
    half, *rest = name.split(".")
    if rest[:1] == ["mid"] and rest[1] in ("0", "1", "2"):
        return ".".join([half, "mid", _LLAMAGEN_MIDDLE[int(rest[1])], *rest[2:]])
    return name


def sizes_of(tensors: Mapping[str, Tensor], quantizer: Quantizer, origin: str) -> VqganSizes:
    """The sizes that weights of taming's names imply.

    Raises:
        ValueError: one that tells them is missing.
    """
    codebook = "quantize.embed.weight" if quantizer == "gumbel" else "quantize.embedding.weight"
    try:
        vocab_size, code_width = tensors[codebook].shape
        channels = tensors["encoder.conv_in.weight"].shape[0]
        places = [match for match in map(_BLOCK.match, tensors) if match]
        levels = 1 + max(int(match[1]) for match in places)
        blocks = 1 + max(int(match[3]) for match in places)
        widths = [tensors[f"encoder.down.{n}.block.0.conv1.weight"].shape[0] for n in range(levels)]
        return VqganSizes(
            vocab_size=vocab_size,
            code_width=code_width,
            latent_width=tensors["encoder.conv_out.weight"].shape[0],
            channels=channels,
            multiples=tuple(width // channels for width in widths),
            blocks_per_level=blocks,
            attention_levels=tuple(sorted({int(m[1]) for m in places if m[2] == "attn"})),
            quantizer=quantizer,
        )
    except (KeyError, IndexError, ValueError) as err:
        raise ValueError(f"{origin} holds no VQGAN: {err} is missing or of no such shape") from err
