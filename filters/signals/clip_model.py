"""A CLIP model at work: captions and pictures to embeddings, similarity and the heads' scores.

B pairs in a batch, C channels, H x W pixels, L tokens, D numbers of an embedding.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import open_clip
import pyarrow as pa
import torch
import torch.nn.functional as F
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor

from filters.signals.clip import EMBEDDINGS, Clip, has_amx
from filters.signals.clip_config import FOLDER, HUB
from filters.signals.clip_heads import load_heads
from filters.signals.clip_preprocess import Preprocess
from filters.signals.clip_weights import find_weights, hash_weights, is_tag

MAX_CHARS = 1_024
"""Characters of a caption that are looked at: CLIP sees 77 tokens, and open_clip's own tokenizer
takes time by the square of a word's length."""
MAX_REMEMBERED = 100_000
"""Words whose tokens open_clip's own tokenizer may remember; it forgets none by itself."""

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def check(settings: Clip) -> str:
    """Find the weights, see that they fit the model, and hash them.

    Returns:
        SHA-256 (hex) of the checkpoint.

    Raises:
        ValueError: weights, model, tokenizer or device are not there or do not fit together.
    """
    path = find_weights(settings.model, settings.weights)
    choose_device(settings)
    _check_activation(settings)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "for .*: copying from a non-meta parameter")
        with torch.device("meta"):  # shapes without memory: nothing is kept, every name is compared
            _create(settings, path, torch.device("meta"))
    _make_tokenizer(settings)
    return hash_weights(path)


def numerics(settings: Clip) -> str:
    """The arithmetic that numbers are made with: "fp32-cpu", "bf16-cuda"."""
    return f"{choose_precision(settings)}-{choose_device(settings).type}"


def choose_device(settings: Clip) -> torch.device:
    """Where the network runs; raises ValueError where the GPU that is asked for is not there."""
    has_gpu = torch.cuda.is_available()
    if settings.device == "cuda" and not has_gpu:
        raise ValueError('[score.clip] device is "cuda", and torch finds no GPU; give "auto"')
    return torch.device("cuda" if has_gpu and settings.device != "cpu" else "cpu")


def choose_precision(settings: Clip) -> str:
    """fp32, bf16 or fp16; bf16 is faster than fp32 where the hardware multiplies it, or slower."""
    if settings.precision != "auto":
        return settings.precision
    on_gpu = choose_device(settings).type == "cuda"
    return "bf16" if on_gpu or has_amx() else "fp32"


class ClipScorer:
    """The model, its tokenizer and its heads, loaded."""

    def __init__(self, settings: Clip) -> None:
        self._settings = settings
        self._device = choose_device(settings)
        self._dtype = DTYPES[choose_precision(settings)]
        path = find_weights(settings.model, settings.weights)
        self._model = _create(settings, path, self._device).eval().requires_grad_(False)
        self._preprocess = Preprocess.of(self._model.visual.preprocess_cfg)
        self._tokenizer = _make_tokenizer(settings)
        self._heads = load_heads(settings)

    def measure(
        self, captions: Sequence[str], pictures: Sequence[np.ndarray]
    ) -> tuple[pa.Array, ...]:
        """One array for each of the settings' columns, of the captions' length."""
        tokens_BL, truncated = tokenize(self._tokenizer, captions, self._model.context_length)
        with torch.inference_mode(), one_thread(self._device):
            image_BD, text_BD = self._embed(tokens_BL, pictures)
            found: dict[str, Any] = {
                "clip_similarity": (image_BD * text_BD).sum(dim=1).numpy(),
                "clip_truncated": truncated,
            } | {name: head(image_BD).numpy() for name, head in self._heads.items()}
        vectors = dict(zip(EMBEDDINGS, (image_BD, text_BD), strict=True))
        found |= {name: _as_lists(vector_BD) for name, vector_BD in vectors.items()}
        return tuple(pa.array(found[name], kind) for name, kind in self._settings.columns)

    def _embed(self, tokens_BL: Tensor, pictures: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        """Image and text embeddings of length 1, float32 [B, D] on the CPU."""
        size = self._settings.batch_size
        found: tuple[list[Tensor], list[Tensor]] = [], []
        for start in range(0, len(pictures), size):
            prepared = [self._preprocess.prepare(one) for one in pictures[start : start + size]]
            images_BCHW = self._preprocess.normalise(prepared, self._device).to(self._dtype)
            part_BL = tokens_BL[start : start + size].to(self._device)
            found[0].append(self._model.encode_image(images_BCHW))
            found[1].append(self._model.encode_text(part_BL))
        image_BD, text_BD = (F.normalize(torch.cat(parts).float(), dim=-1) for parts in found)
        return image_BD.cpu(), text_BD.cpu()


def tokenize(
    tokenizer: Any, captions: Sequence[str], context_length: int
) -> tuple[Tensor, list[bool]]:
    """Token ids [B, L], and which captions are longer than the model sees."""
    if isinstance(tokenizer, SimpleTokenizer) and len(tokenizer.cache) > MAX_REMEMBERED:
        for word in list(tokenizer.cache)[2:]:  # the first two are its special tokens
            del tokenizer.cache[word]
    spaced = [" ".join(caption[: 8 * MAX_CHARS].split()) for caption in captions]
    texts = [text[:MAX_CHARS] for text in spaced]
    tokens_BL = tokenizer(texts, context_length=context_length)
    # What was cut off shows in a longer row: its beginning differs where an end mark stood.
    longer_BL = tokenizer(texts, context_length=context_length + 1)
    cut = (longer_BL[:, :context_length] != tokens_BL).any(dim=1).tolist()
    too_long = [len(text) > MAX_CHARS for text in spaced]
    return tokens_BL, [any(either) for either in zip(cut, too_long, strict=True)]


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """On a CPU one thread, whatever the machine has: a process per core shares it out, and the
    order of a sum does not depend on the number of cores."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _create(settings: Clip, path: str, device: torch.device) -> Any:
    """The network with its weights; open_clip reads a .pt by torch's loader of plain tensors."""
    brings_weights = settings.model.startswith((HUB, FOLDER))
    tagged = is_tag(settings.model, settings.weights)
    try:
        return open_clip.create_model(
            settings.model,
            pretrained=None if brings_weights else settings.weights if tagged else path,
            require_pretrained=True,
            precision=choose_precision(settings),
            device=device,
            weights_only=True,
        )
    except Exception as err:
        raise ValueError(
            f"[score.clip] {path} does not fit {settings.model}: {_shorten(err)}"
        ) from err


def _check_activation(settings: Clip) -> None:
    """OpenAI's weights need another activation, under another name of the architecture."""
    tag = open_clip.get_pretrained_cfg(settings.model, settings.weights)
    config = open_clip.get_model_config(settings.model) if tag else {}
    if bool(tag.get("quick_gelu")) != bool(config.get("quick_gelu")):
        other = settings.model.removesuffix("-quickgelu")
        other += "-quickgelu" if tag.get("quick_gelu") else ""
        raise ValueError(
            f"[score.clip] weights {settings.weights!r} were trained with another activation than "
            f"{settings.model} has; give model = {other!r}"
        )


def _make_tokenizer(settings: Clip) -> Any:
    try:
        return open_clip.get_tokenizer(settings.model)
    except Exception as err:
        raise ValueError(
            f"[score.clip] the tokenizer of {settings.model} cannot be had: {_shorten(err)} (some "
            "models need the package transformers and files from huggingface.co)"
        ) from err


def _shorten(error: Exception) -> str:
    """An exception of torch's names every tensor; its beginning says enough."""
    return " ".join(str(error).split())[:300]


def _as_lists(vectors_BD: Tensor) -> pa.ListArray:
    size, width = vectors_BD.shape
    offsets = np.arange(size + 1, dtype=np.int32) * width
    return pa.ListArray.from_arrays(offsets, vectors_BD.numpy().astype(np.float16).ravel())
