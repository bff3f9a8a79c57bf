"""The weights file of a dVAE: safetensors, written and read side by side.

Names are the published ones under `encoder.` and `decoder.`; the metadata entry `dvae` is JSON with
the sizes and with what the trainer says about the weights. A file of the published encoder alone
(names that start with `blocks.`, or `encoder.blocks.`) is read too: its sizes follow from its
shapes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import fsspec
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from tokens.dvae import Dvae, DvaeSizes

METADATA_KEY = "dvae"
FORMAT = 1
FLOATS = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True, slots=True)
class DvaeFile:
    """What a weights file holds."""

    model: Dvae
    """In float32, on the CPU, for use; its decoder is random where `decodes` is false."""

    decodes: bool
    """The file has the decoder as well as the encoder."""

    sha256: str
    """Of the whole file."""

    details: dict[str, Any]
    """What its trainer says about it: licence, data, figures; empty for published weights."""


def dvae_bytes(
    model: Dvae, details: Mapping[str, Any], dtype: torch.dtype = torch.float16
) -> bytes:
    """The file of a model: the same weights and details give the same bytes."""
    tensors = {
        name: tensor.detach().cpu().to(dtype).contiguous()
        for name, tensor in sorted(model.state_dict().items())
    }
    about = {"format": FORMAT, "sizes": asdict(model.sizes), "details": dict(details)}
    data: bytes = safetensors.torch.save(tensors, {METADATA_KEY: json.dumps(about, sort_keys=True)})
    return data


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
    try:
        tensors = safetensors.torch.load(data)
    except safetensors.SafetensorError as err:
        raise ValueError(f"{origin} is not a safetensors file ({err})") from err
    if any(name.startswith("blocks.") for name in tensors):
        tensors = {f"encoder.{name}": tensor for name, tensor in tensors.items()}
    about = _about(data, origin)
    sizes = _stated_sizes(about, origin) or _sizes_of(tensors, origin)
    decodes = any(name.startswith("decoder.") for name in tensors)
    with torch.device("meta"):  # no memory is taken before the file is known to be whole
        shapes = Dvae(sizes)
    _check(tensors, shapes.state_dict() if decodes else _encoder_names(shapes), origin)
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced at once
        model = Dvae(sizes)
    model.load_state_dict(tensors, strict=decodes)
    sha256 = hashlib.sha256(data).hexdigest()
    return DvaeFile(model.eval().requires_grad_(False), decodes, sha256, about.get("details", {}))


def _about(data: bytes, origin: str) -> dict[str, Any]:
    """Our metadata entry; empty when the file has none. The header was checked by safetensors."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    text = header.get("__metadata__", {}).get(METADATA_KEY, "{}")
    try:
        about = json.loads(text)
    except ValueError as err:
        raise ValueError(f"{origin}: metadata entry {METADATA_KEY!r} is not JSON ({err})") from err
    if not isinstance(about, dict) or about.get("format", FORMAT) != FORMAT:
        raise ValueError(f"{origin}: metadata entry {METADATA_KEY!r} is not of format {FORMAT}")
    return about


def _stated_sizes(about: dict[str, Any], origin: str) -> DvaeSizes | None:
    if "sizes" not in about:
        return None
    try:
        return DvaeSizes(**about["sizes"])
    except TypeError as err:
        raise ValueError(f"{origin}: its sizes are not those of a dVAE ({err})") from err


def _sizes_of(tensors: Mapping[str, Tensor], origin: str) -> DvaeSizes:
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


def _encoder_names(model: Dvae) -> dict[str, Tensor]:
    return {name: t for name, t in model.state_dict().items() if name.startswith("encoder.")}


def _check(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], origin: str) -> None:
    """Every expected weight, no other, each of its shape, all floating."""
    for name in sorted(expected.keys() - tensors.keys()):
        raise ValueError(f"{origin} lacks the weight {name}")
    for name in sorted(tensors.keys() - expected.keys()):
        raise ValueError(f"{origin} has a weight {name} that a dVAE of its sizes does not have")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            shapes = f"{list(tensor.shape)}, must be {list(expected[name].shape)}"
            raise ValueError(f"{origin}: the weight {name} has shape {shapes}")
        if tensor.dtype not in FLOATS:
            raise ValueError(f"{origin}: the weight {name} is {tensor.dtype}, must be floating")
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{origin}: the weight {name} holds a value that is not finite")
