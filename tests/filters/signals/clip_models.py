"""A CLIP model small enough for tests, its weights made on the spot, and heads for it."""

import json
from pathlib import Path

import open_clip
import safetensors.torch
import torch

WIDTH = 32
CONFIG = {
    "model_cfg": {
        "embed_dim": WIDTH,
        "vision_cfg": {
            "image_size": 48,
            "layers": 2,
            "width": 64,
            "patch_size": 8,
            "head_width": 16,
        },
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49_408,
            "width": 32,
            "heads": 2,
            "layers": 2,
        },
    },
    "preprocess_cfg": {"mean": [0.5, 0.45, 0.4], "std": [0.3, 0.25, 0.2]},
}


def write_model(folder: Path, seed: int = 0, **preprocess: object) -> str:
    """The model as a folder of open_clip's; its name for a recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    config = CONFIG | {"preprocess_cfg": CONFIG["preprocess_cfg"] | preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(seed)
    model = open_clip.CLIP(**CONFIG["model_cfg"])
    for parameter in model.parameters():  # as they begin, all pictures look alike to it
        torch.nn.init.normal_(parameter, std=0.05) if parameter.ndim > 1 else None
    weights = {name: one.contiguous() for name, one in model.state_dict().items()}
    safetensors.torch.save_file(weights, folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"


def linear(inputs: int, outputs: int, name: str) -> dict[str, torch.Tensor]:
    layer = torch.nn.Linear(inputs, outputs)
    return {f"{name}weight": layer.weight.detach(), f"{name}bias": layer.bias.detach()}


def linear_head(width: int = WIDTH) -> dict[str, torch.Tensor]:
    """LAION's first aesthetic head."""
    return linear(width, 1, "")


def mlp_head(width: int = WIDTH) -> dict[str, torch.Tensor]:
    """The improved aesthetic predictor."""
    places, sizes = (0, 2, 4, 6, 7), (width, 1024, 128, 64, 16, 1)
    tensors = {}
    for place, inputs, outputs in zip(places, sizes[:-1], sizes[1:], strict=True):
        tensors |= linear(inputs, outputs, f"layers.{place}.")
    return tensors


def nsfw_head(width: int = WIDTH) -> dict[str, torch.Tensor]:
    """LAION's NSFW detector."""
    tensors = {"norm.mean": torch.randn(width) / 10, "norm.variance": torch.rand(width) + 0.1}
    sizes = (width, 64, 512, 256, 1)
    for number, (inputs, outputs) in enumerate(zip(sizes[:-1], sizes[1:], strict=True), start=1):
        tensors |= linear(inputs, outputs, f"linear_{number}.")
    return tensors


def write_head(path: Path, tensors: dict[str, torch.Tensor]) -> str:
    safetensors.torch.save_file(tensors, path)
    return str(path)
