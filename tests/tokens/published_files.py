"""Small weights laid out as the published files are: names, classes, containers."""

import io
import sys
import types
import warnings

import torch
from torch import nn

from tokens.dvae import Dvae

KINDS = {"Encoder": "dall_e.encoder", "EncoderBlock": "dall_e.encoder"}
KINDS |= {"Decoder": "dall_e.decoder", "DecoderBlock": "dall_e.decoder", "Conv2d": "dall_e.utils"}


def pickle_as(thing, *, zipped):
    """What torch.save writes, as today or as before torch 1.6."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the classes have no source to be kept
        torch.save(thing, file := io.BytesIO(), _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def openai_pickle(model: Dvae, half, *, zipped):
    """A half of a dVAE as a pickled module whose classes are those of the package `dall_e`.

    The package is there while the file is written, and gone when this returns.
    """
    kinds = {name: type(name, (nn.Module,), {"__module__": home}) for name, home in KINDS.items()}
    homes = {home: types.ModuleType(home) for home in ("dall_e", *KINDS.values())}
    for name, kind in kinds.items():
        setattr(homes[KINDS[name]], name, kind)
    sys.modules.update(homes)
    try:
        return pickle_as(_retyped(getattr(model, half), kinds, half), zipped=zipped)
    finally:
        for home in homes:
            del sys.modules[home]


def _retyped(module, kinds, half):
    """The same module, its own classes in the place of ours, torch's kept."""
    names = {"Encoder": "Encoder", "Decoder": "Decoder", "Conv": "Conv2d"}
    names["Block"] = f"{half.capitalize()}Block"
    wanted = kinds.get(names.get(type(module).__name__, ""), type(module))
    made = wanted.__new__(wanted)
    made.__dict__.update(module.__dict__)
    made.__dict__["device"] = torch.device("cpu")  # as OpenAI's modules have it
    children = {name: _retyped(child, kinds, half) for name, child in module._modules.items()}
    made.__dict__["_modules"] = children
    return made


def llamagen_names(tensors, levels):
    """Weights of taming's names under LlamaGen's, which counts the decoder's levels backwards."""
    middle = {"block_1": "0", "attn_1": "1", "block_2": "2"}
    renamed = {"quantize.codebook_used": torch.zeros(65_536)}
    for name, tensor in tensors.items():
        half, *rest = name.split(".")
        if rest[0] in ("down", "up"):
            level = int(rest[1]) if rest[0] == "down" else levels - 1 - int(rest[1])
            rest[:3] = ["conv_blocks", str(level), rest[2].replace("block", "res")]
        elif rest[0] == "mid":
            rest[1] = middle[rest[1]]
        renamed[".".join([half, *rest])] = tensor
    return renamed
