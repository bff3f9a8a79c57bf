"""What every weights file of an image tokenizer is: safetensors, checked tensor by tensor.

The metadata holds one entry, named after the kind of network: JSON with its sizes and with what is
known of the weights (licence, data, figures).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Generic, Protocol, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

FORMAT = 1
FLOATS = (torch.float32, torch.float16, torch.bfloat16)


class Sizes(Protocol):
    """Of a network that makes codes of pictures."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def stride(self) -> int:
        """Pixels per code along a side."""


class CodeNetwork(Protocol):
    """A network that makes codes of pictures and, where it has a decoder, pictures of codes."""

    @property
    def sizes(self) -> Sizes: ...

    def on(self, device: torch.device) -> CodeNetwork:
        """The same network on a device, in the layout that is fastest there."""

    def lower_encoder(self, dtype: torch.dtype) -> None:
        """Let the body of its encoder compute in `dtype`; the head stays in float32."""

    def scores(self, pixels_BCHW: Tensor) -> Tensor:
        """Pixels in [0, 1], [B, 3, H, W] -> float32 [B, h, w, V]; the best one gives the code."""

    def pixels(self, codes_Bhw: Tensor) -> Tensor:
        """int64 [B, h, w] -> pixels in [0, 1], [B, 3, H, W]."""


Network = TypeVar("Network", bound=CodeNetwork)
Module = TypeVar("Module", bound=nn.Module)
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class WeightsFile(Generic[Network]):
    """What a weights file holds."""

    model: Network
    """In float32, on the CPU, for use; its decoder is random where `decodes` is false."""

    decodes: bool
    """The file has the decoder as well as the encoder."""

    sha256: str
    """Of the whole file."""

    details: dict[str, Any]
    """What is known of the weights: licence, data, figures; empty for published ones."""


def weights_bytes(
    key: str,
    model: nn.Module,
    sizes: Any,
    details: Mapping[str, Any],
    dtype: torch.dtype,
    only: str = "",
) -> bytes:
    """The file of a model, or of the part whose names begin with `only`.

    The same weights and details give the same bytes.
    """
    tensors = {
        name: tensor.detach().cpu().to(dtype).contiguous()
        for name, tensor in sorted(model.state_dict().items())
        if name.startswith(only)
    }
    about = {"format": FORMAT, "sizes": asdict(sizes), "details": dict(details)}
    data: bytes = safetensors.torch.save(tensors, {key: json.dumps(about, sort_keys=True)})
    return data


def load_tensors(data: bytes, origin: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file; raises ValueError, naming `origin`, where it is none."""
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    except safetensors.SafetensorError as err:
        raise ValueError(f"{origin} is not a safetensors file ({err})") from err
    return tensors


def read_about(data: bytes, key: str, origin: str) -> dict[str, Any]:
    """Our metadata entry; empty when the file has none. The header was checked by safetensors."""
    text = read_metadata(data).get(key, "{}")
    try:
        about = json.loads(text)
    except ValueError as err:
        raise ValueError(f"{origin}: metadata entry {key!r} is not JSON ({err})") from err
    if not isinstance(about, dict) or about.get("format", FORMAT) != FORMAT:
        raise ValueError(f"{origin}: metadata entry {key!r} is not of format {FORMAT}")
    return about


def read_metadata(data: bytes) -> dict[str, str]:
    """The header's free part; empty too where this is no safetensors file (`load_tensors` says)."""
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (ValueError, RecursionError):
        return {}
    found = header.get("__metadata__", {}) if isinstance(header, dict) else {}
    return found if isinstance(found, dict) else {}


def stated_sizes(about: Mapping[str, Any], kind: type[Record], origin: str) -> Record | None:
    """The sizes that the metadata gives; None where it gives none."""
    if "sizes" not in about:
        return None
    try:
        stated = dict(about["sizes"])
        lists = {f.name: tuple(stated[f.name]) for f in fields(kind) if _is_tuple(f, stated)}  # type: ignore[arg-type]  # all are dataclasses
        return kind(**{**stated, **lists})
    except (TypeError, ValueError) as err:
        raise ValueError(f"{origin}: its sizes are not those of a {kind.__name__} ({err})") from err


def _is_tuple(field: Any, stated: Mapping[str, Any]) -> bool:
    return str(field.type).startswith("tuple") and isinstance(stated.get(field.name), list)


def fill(
    build: type[Module],
    sizes: Any,
    tensors: Mapping[str, Tensor],
    origin: str,
    only: str = "",
) -> Module:
    """A network of those sizes with exactly those weights, for use.

    Args:
        only: a prefix of names: of the others the file has none.

    Raises:
        ValueError: a weight is missing, unknown, of another shape, no float or not finite.
    """
    with torch.device("meta"):  # no memory is taken before the file is known to be whole
        expected = build(sizes).state_dict()
    check_tensors(tensors, {n: t for n, t in expected.items() if n.startswith(only)}, origin)
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced at once
        model = build(sizes)
    model.load_state_dict(tensors, strict=not only)
    return model.eval().requires_grad_(False)


def check_tensors(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], origin: str
) -> None:
    """Every expected weight, no other, each of its shape, all floating and finite."""
    for name in sorted(expected.keys() - tensors.keys()):
        raise ValueError(f"{origin} lacks the weight {name}")
    for name in sorted(tensors.keys() - expected.keys()):
        raise ValueError(f"{origin} has a weight {name} that a network of its sizes does not have")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            shapes = f"{list(tensor.shape)}, must be {list(expected[name].shape)}"
            raise ValueError(f"{origin}: the weight {name} has shape {shapes}")
        if tensor.dtype not in FLOATS:
            raise ValueError(f"{origin}: the weight {name} is {tensor.dtype}, must be floating")
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{origin}: the weight {name} holds a value that is not finite")


def digest(data: bytes) -> str:
    """SHA-256 of a whole file, hex."""
    return hashlib.sha256(data).hexdigest()
