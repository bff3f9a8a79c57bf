"""The weights file of a dVAE: safetensors, written and read side by side.

Names are the published ones under `encoder.` and `decoder.`; the metadata entry `dvae` is JSON with
the sizes and with what the trainer says about the weights. A file of the published encoder alone
(names that start with `blocks.`, or `encoder.blocks.`) is read too: its sizes follow from its
shapes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import fsspec
import torch
from torch import Tensor

from tokens.dvae import Dvae, DvaeSizes
from tokens.weights import (
    WeightsFile,
    digest,
    fill,
    load_tensors,
    read_about,
    stated_sizes,
    weights_bytes,
)

METADATA_KEY = "dvae"

DvaeFile = WeightsFile[Dvae]


def dvae_bytes(
    model: Dvae, details: Mapping[str, Any], dtype: torch.dtype = torch.float16, only: str = ""
) -> bytes:
    """The file of a model, or of its half whose names begin with `only`.

    The same weights and details give the same bytes.
    """
    return weights_bytes(METADATA_KEY, model, model.sizes, details, dtype, only)


def read_dvae(url: str) -> DvaeFile:
    """The model in a weights file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a whole dVAE of one set of sizes: the message names the first fault.
    """
    filesystem, path = fsspec.url_to_fs(url)
    return parse_dvae(filesystem.cat_file(path), url)


def parse_dvae(data: bytes, origin: str) -> DvaeFile:
    """As `read_dvae`, from bytes; `origin` names them in messages."""
    tensors = load_tensors(data, origin)
    if any(name.startswith("blocks.") for name in tensors):
        tensors = {f"encoder.{name}": tensor for name, tensor in tensors.items()}
    about = read_about(data, METADATA_KEY, origin)
    sizes = stated_sizes(about, DvaeSizes, origin) or sizes_of(tensors, origin)
    decodes = any(name.startswith("decoder.") for name in tensors)
    model = fill(Dvae, sizes, tensors, origin, only="" if decodes else "encoder.")
    return WeightsFile(model, decodes, digest(data), about.get("details", {}))


def sizes_of(tensors: Mapping[str, Tensor], origin: str) -> DvaeSizes:
    """The sizes that published weights imply."""
    first, last = "encoder.blocks.input.w", "encoder.blocks.output.conv.w"
    missing = [name for name in (first, last) if name not in tensors]
    if missing:
        raise ValueError(f"{origin} holds no dVAE encoder: it has no weight {missing[0]}")
    found = [re.match(r"encoder\.blocks\.group_(\d+)\.block_(\d+)\.", name) for name in tensors]
    numbers = [(int(match[1]), int(match[2])) for match in found if match]
    codebook = tensors.get("decoder.blocks.input.w")
    return DvaeSizes(
        vocab_size=tensors[last].shape[0],
        hidden=tensors[first].shape[0],
        decoder_init=DvaeSizes().decoder_init if codebook is None else codebook.shape[0],
        group_count=max((group for group, _ in numbers), default=0),
        blocks_per_group=max((block for _, block in numbers), default=0),
    )
