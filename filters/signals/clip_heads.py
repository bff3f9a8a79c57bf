"""Small networks on CLIP's image embedding: how pleasing a picture is, and how unsafe.

Each is a safetensors file; its tensors' names say which of the published networks it is. d is the
width of the embedding, which is scaled to length 1 first, as all of them were trained.

    LAION's linear aesthetic head (github.com/LAION-AI/aesthetic-predictor, sa_0_4_*_linear.pth)
        weight [1, d], bias [1]
    improved aesthetic predictor (github.com/christophschuhmann/improved-aesthetic-predictor,
    sac+logos+ava1-l14-linearMSE.pth), for OpenAI's ViT-L/14: linear layers, nothing between them
        layers.0 [1024, d], layers.2 [128, 1024], layers.4 [64, 128], layers.6 [16, 64],
        layers.7 [1, 16], each .weight and .bias
    LAION's NSFW detector (github.com/LAION-AI/CLIP-based-NSFW-Detector), published for Keras:
    Normalization, then Dense layers with ReLU between them and a sigmoid at the end
        norm.mean [d], norm.variance [d], linear_1.weight [64, d], linear_1.bias [64], ...
        linear_4.weight [1, 256]: Keras keeps a Dense kernel as [in, out], here it is turned

The aesthetic heads are on a scale of about 1 to 10, the NSFW head's answer is a probability. A head
says nothing of value about the embeddings of another CLIP model than its own.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import fsspec
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from filters.signals.clip import Clip
from filters.signals.clip_config import embedding_width

KERAS_EPSILON = 1e-7
"""Least standard deviation that Keras' Normalization divides by."""

AESTHETIC_LAYER = re.compile(r"layers\.(\d+)\.weight")
NSFW_LAYER = re.compile(r"linear_(\d+)\.weight")


@dataclass(frozen=True, slots=True)
class Head:
    """Linear layers on an embedding, in order."""

    sha256: str
    """Of the file."""
    layers: tuple[tuple[Tensor, Tensor], ...]
    """Weight [out, in] and bias [out] of each."""
    scale: tuple[Tensor, Tensor] | None = None
    """Mean and variance [d] that the embedding is brought to first (Keras' Normalization)."""
    is_detector: bool = False
    """ReLU between the layers and a sigmoid after the last."""

    def __call__(self, embeddings_BD: Tensor) -> Tensor:
        """Scores [B] of embeddings of length 1, float32."""
        x_BD = embeddings_BD
        if self.scale is not None:
            mean_D, variance_D = self.scale
            x_BD = (x_BD - mean_D) / variance_D.sqrt().clamp_min(KERAS_EPSILON)
        for number, (weight, bias) in enumerate(self.layers, start=1):
            x_BD = torch.nn.functional.linear(x_BD, weight, bias)
            if self.is_detector and number < len(self.layers):
                x_BD = x_BD.relu()
        return (x_BD.sigmoid() if self.is_detector else x_BD)[:, 0]


def load_heads(settings: Clip) -> dict[str, Head]:
    """The heads that the settings name, by the names of their columns.

    Raises:
        ValueError: a file is missing or is no such head for this model.
    """
    asked = {
        "aesthetic_score": ("aesthetic_weights", settings.aesthetic_weights),
        "nsfw_score": ("nsfw_weights", settings.nsfw_weights),
    }
    return {
        column: load_head(url, key, embedding_width(settings.model))
        for column, (key, url) in asked.items()
        if url
    }


def load_head(url: str, key: str, width: int) -> Head:
    """The head in a safetensors file, for embeddings of `width` numbers.

    Args:
        key: of the recipe, for the error's sentence; decides which kind of head it must be.
    """
    try:
        with fsspec.open(url, "rb") as file:
            data = file.read()
        tensors = {name: one.float() for name, one in safetensors.torch.load(data).items()}
        head = _read(hashlib.sha256(data).hexdigest(), tensors, is_detector=key == "nsfw_weights")
        _check_widths(head, width)
    except (OSError, SafetensorError, ValueError, KeyError) as err:
        raise ValueError(
            f"[score.clip] {key} {url!r} is no such head for embeddings of {width} numbers: {err}; "
            "filters/signals/clip_heads.py says where heads are published and what they must hold"
        ) from err
    return head


def _read(sha256: str, tensors: Mapping[str, Tensor], *, is_detector: bool) -> Head:
    pattern = NSFW_LAYER if is_detector else AESTHETIC_LAYER
    found = [match for match in map(pattern.fullmatch, tensors) if match]
    in_order = sorted(found, key=lambda match: int(match[1]))
    names = [match[0].removesuffix("weight") for match in in_order] or [""]
    scale = (tensors["norm.mean"], tensors["norm.variance"]) if is_detector else None
    layers = tuple((tensors[f"{name}weight"], tensors[f"{name}bias"]) for name in names)
    used = 2 * len(names) + 2 * is_detector
    if used != len(tensors):
        raise ValueError(f"it holds {len(tensors)} tensors, of which {used} are known")
    return Head(sha256, layers, scale, is_detector)


def _check_widths(head: Head, width: int) -> None:
    """Each layer must take what the one before it gives; the last gives one number."""
    for weight, bias in head.layers:
        if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
            raise ValueError(
                f"a layer of {list(weight.shape)} with {list(bias.shape)} gets {width} numbers"
            )
        width = weight.shape[0]
    if width != 1:
        raise ValueError(f"it ends in {width} numbers")
    if head.scale is not None and {one.shape for one in head.scale} != {
        head.layers[0][0].shape[1:]
    }:
        raise ValueError(f"its normalisation is of {list(head.scale[0].shape)}")
