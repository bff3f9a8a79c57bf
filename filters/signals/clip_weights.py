"""The weights that [score.clip] names: a file on this machine that holds tensors alone."""

import hashlib
import zipfile
from pathlib import Path

import fsspec
import torch
from open_clip.pretrained import (
    download_pretrained,
    download_pretrained_from_hf,
    get_pretrained_cfg,
    list_pretrained_tags_by_model,
)

from filters.signals.clip_config import FOLDER, HUB

ENDINGS = (".safetensors", ".bin", ".pth")
"""What open_clip takes for a checkpoint in a folder."""


def find_weights(model: str, weights: str) -> str:
    """Path of the checkpoint, downloaded where a tag, a hub name or a URL stands for it.

    Raises:
        ValueError: there is none, or it holds more than tensors.
    """
    try:
        path = _locate(model, weights)
    except Exception as err:
        raise ValueError(
            f"[score.clip] weights {weights or model!r} cannot be had: {err}; give a file, or a "
            f"pretrained tag of {model} ({', '.join(list_tags(model)) or 'there are none'})"
        ) from err
    _refuse_objects(path)
    return path


def list_tags(model: str) -> list[str]:
    """The pretrained tags of an architecture."""
    return [str(tag) for tag in list_pretrained_tags_by_model(model)]


def is_tag(model: str, weights: str) -> bool:
    """Whether `weights` names a checkpoint that open_clip knows for the architecture."""
    return bool(get_pretrained_cfg(model, weights))


def hash_weights(path: str) -> str:
    """SHA-256 (hex)."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _locate(model: str, weights: str) -> str:
    if model.startswith(FOLDER):
        return _only_checkpoint(Path(model.removeprefix(FOLDER)))
    if model.startswith(HUB):
        return str(download_pretrained_from_hf(model.removeprefix(HUB)))
    if is_tag(model, weights):
        return str(download_pretrained(get_pretrained_cfg(model, weights)))
    if weights.startswith(HUB):
        return str(download_pretrained_from_hf(weights.removeprefix(HUB)))
    return _bring(weights)


def _only_checkpoint(folder: Path) -> str:
    found = [path for path in sorted(folder.iterdir()) if path.suffix in ENDINGS]
    if len(found) != 1:
        raise ValueError(f"{folder} holds {len(found)} checkpoints; leave one there")
    return str(found[0])


def _bring(url: str) -> str:
    """The file at a path or fsspec URL, as a file of this machine."""
    filesystem, path = fsspec.url_to_fs(url)
    if not filesystem.isfile(path):
        raise FileNotFoundError(f"there is no file {url}")
    if "file" in filesystem.protocol:
        return str(path)
    return str(fsspec.open_local(f"simplecache::{url}", simplecache={"same_names": True}))


def _refuse_objects(path: str) -> None:
    """A checkpoint of torch's is a pickle: it may hold tensors and plain values, and no more."""
    if path.endswith(".safetensors"):
        return
    try:
        torch.load(path, "cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as err:  # hostile bytes make it raise nearly anything
        reason = str(err).splitlines()[0]
        raise ValueError(
            f"[score.clip] {path} is not a checkpoint that holds tensors alone ({reason}); "
            "nothing else is ever unpickled: save its state_dict as safetensors"
        ) from err
