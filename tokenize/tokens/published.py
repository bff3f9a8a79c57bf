"""Tokenizers as their authors publish them, as one of our weights files.

| published | holds | becomes |
|---|---|---|
| OpenAI's dVAE: encoder.pkl, decoder.pkl | two pickled modules | a dVAE's file |
| taming-transformers' VQGAN f16, f8, Gumbel f8: last.ckpt | `state_dict` | a VQGAN's |
| LlamaGen's vq_ds16_c2i.pt, vq_ds8_c2i.pt | `model` or `ema` | a VQGAN's |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from tokens.dvae_file import dvae_bytes, parse_dvae
from tokens.published_pickle import Inert, as_tensors, module_tensors, read_published
from tokens.vqgan_file import from_llamagen, from_taming, vqgan_bytes
from tokens.weights import digest

OPENAI = "Modified MIT (OpenAI, https://github.com/openai/DALL-E; it asks to say that it was used)"
TAMING = "MIT (CompVis, https://github.com/CompVis/taming-transformers)"
LLAMAGEN = "MIT (FoundationVision, https://github.com/FoundationVision/LlamaGen)"


def convert(data: bytes, origin: str, decoder: bytes | None = None, licence: str = "") -> bytes:
    """The weights file of a published tokenizer; the same input gives the same bytes.

    Args:
        data: the published file; of OpenAI's the encoder.
        origin: names it in messages.
        decoder: OpenAI's decoder, without which the tokenizer draws no pictures.
        licence: the line that goes with every corpus; by default its authors'.

    Raises:
        ValueError: it is no tokenizer that we know, or not whole: the message says why.
    """
    found = read_published(data, origin)
    details = {"published_sha256": digest(data)} | ({"licence": licence} if licence else {})
    if isinstance(found, Inert):
        return _convert_openai(found, origin, decoder, {"licence": OPENAI} | details)
    if decoder is not None:
        raise ValueError(f"{origin} holds both halves already; leave the decoder away")
    if not isinstance(found, Mapping):
        raise ValueError(f"{origin} holds no tokenizer that we know")
    if "state_dict" in found:
        tensors = as_tensors(found["state_dict"])
        return vqgan_bytes(from_taming(tensors, origin), {"licence": TAMING} | details)
    for key in ("ema", "model"):
        if key in found:
            tensors = as_tensors(found[key])
            return vqgan_bytes(from_llamagen(tensors, origin), {"licence": LLAMAGEN} | details)
    raise ValueError(f"{origin} has no state_dict, ema or model: it holds no tokenizer we know")


def _convert_openai(
    encoder: Inert, origin: str, decoder: bytes | None, details: dict[str, Any]
) -> bytes:
    tensors = _half(encoder, "encoder", origin)
    if decoder is not None:
        tensors |= _half(read_published(decoder, "the decoder"), "decoder", "the decoder")
        details["published_decoder_sha256"] = digest(decoder)
    file = parse_dvae(safetensors.torch.save(tensors), origin)
    only = "" if file.decodes else "encoder."
    return dvae_bytes(file.model, details, torch.float32, only)


def _half(module: Any, name: str, origin: str) -> dict[str, Tensor]:
    if type(module).__name__ != name.capitalize():
        raise ValueError(f"{origin} holds no {name} of OpenAI's: give encoder.pkl and decoder.pkl")
    return {f"{name}.{key}": tensor for key, tensor in module_tensors(module).items()}
