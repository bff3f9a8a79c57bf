"""Image tokenizers: pictures to codes and back, the same codes every time.

A code is the most likely one (argmax, no noise), as when the paper encodes its training set (Ramesh
et al. 2021, section 2.2, footnote 6). Pictures go through the network a fixed number at a time, on
a CPU one by one on one thread, so that neither the batch they come in nor the cores of the machine
change a code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import fsspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tokens import vqgan_file
from tokens.bundled import BUNDLED, DVAE_FILE, locate
from tokens.dvae_file import parse_dvae
from tokens.vqgan_file import parse_vqgan
from tokens.weights import WeightsFile, read_metadata

PUBLISHED_AT = "https://cdn.openai.com/dall-e/encoder.pkl"
BATCH_ON_GPU = 32

Pixels = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]


class ImageTokenizer(Protocol):
    """What the encode stage and the sampler need of an image tokenizer."""

    @property
    def name(self) -> str: ...

    @property
    def vocab_size(self) -> int: ...

    @property
    def sha256(self) -> str:
        """Of the weights file: another file, other codes."""

    @property
    def licence(self) -> str: ...

    @property
    def numerics(self) -> str:
        """The arithmetic that codes were made with; other arithmetic may flip a near tie."""

    def grid(self, side_px: int) -> tuple[int, int]:
        """Height and width in codes of a square picture."""

    def encode(self, images: Pixels) -> Codes:
        """uint8 [B, H, W, 3] -> codes [B, h, w]."""

    def decode(self, codes: Codes) -> Pixels:
        """Codes [B, h, w] -> uint8 [B, H, W, 3]."""


class NetworkTokenizer:
    """The image tokenizer of a weights file: a dVAE's or a VQGAN's."""

    def __init__(self, file: WeightsFile[Any], name: str, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._file = file
        self._model = file.model.on(self._device)
        self._batch = 1 if self._device.type == "cpu" else BATCH_ON_GPU
        self.name = name
        self.vocab_size = file.model.sizes.vocab_size
        self.sha256 = file.sha256
        self.licence = str(file.details.get("licence", ""))
        self.numerics = f"fp32-{self._device.type}"
        self._dtype = np.uint16 if self.vocab_size <= 1 << 16 else np.uint32

    @property
    def stride(self) -> int:
        """Pixels per code along a side."""
        return int(self._model.sizes.stride)

    @property
    def decodes(self) -> bool:
        """It can draw pictures: its file has a decoder."""
        return self._file.decodes

    def grid(self, side_px: int) -> tuple[int, int]:
        """Height and width in codes of a square picture.

        Raises:
            ValueError: the side is not a multiple of the network's stride.
        """
        stride = self._model.sizes.stride
        if side_px < stride or side_px % stride:
            raise ValueError(f"side_px is {side_px}; {self.name} needs a multiple of {stride}")
        return side_px // stride, side_px // stride

    def encode(self, images: Pixels) -> Codes:
        """uint8 [B, H, W, 3] -> codes [B, h, w], uint16 while the vocabulary fits.

        Raises:
            ValueError: not such an array, or a side that is not a multiple of the stride.
        """
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise ValueError(
                f"pictures are {images.dtype} {list(images.shape)}, must be uint8 [B, H, W, 3]"
            )
        height, width = (self.grid(side)[0] for side in images.shape[1:3])
        codes = np.empty((len(images), height, width), self._dtype)
        with _exact(self._device):
            for start, part in self._parts(images):
                pixels = part.to(self._device).permute(0, 3, 1, 2).float().div_(255)
                found = self._model.codes(pixels).cpu().numpy()
                codes[start : start + self._batch] = found[: len(images) - start]
        return codes

    def decode(self, codes: Codes) -> Pixels:
        """Codes [B, h, w] -> uint8 [B, H, W, 3].

        Raises:
            ValueError: not such an array, a code past the vocabulary, or a file without a decoder.
        """
        if not self._file.decodes:
            raise ValueError(f"{self.name} holds an encoder alone and cannot draw pictures")
        if codes.ndim != 3 or codes.dtype.kind not in "iu":
            raise ValueError(
                f"codes are {codes.dtype} {list(codes.shape)}, must be whole [B, h, w]"
            )
        if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < self.vocab_size:
            raise ValueError(
                f"codes run from {codes.min()} to {codes.max()}; {self.name} knows "
                f"0 to {self.vocab_size - 1}"
            )
        stride = self._model.sizes.stride
        images = np.empty(
            (len(codes), codes.shape[1] * stride, codes.shape[2] * stride, 3), np.uint8
        )
        with _exact(self._device):
            for start, part in self._parts(codes.astype(np.int64)):
                pixels = self._model.pixels(part.to(self._device)).permute(0, 2, 3, 1)
                drawn = (pixels * 255).round().to(torch.uint8).cpu().numpy()
                images[start : start + self._batch] = drawn[: len(codes) - start]
        return images

    def _parts(self, rows: npt.NDArray[np.generic]) -> Iterator[tuple[int, Tensor]]:
        """Rows a fixed number at a time, the last part filled up with zeros, with their start."""
        for start in range(0, len(rows), self._batch):
            part = rows[start : start + self._batch]
            missing = self._batch - len(part)
            if missing:
                part = np.concatenate([part, np.zeros((missing, *part.shape[1:]), part.dtype)])
            yield start, torch.from_numpy(np.ascontiguousarray(part))


def load_image_tokenizer(path: str, device: str = "cpu") -> NetworkTokenizer:
    """The tokenizer of a weights file.

    Args:
        path: "bundled", or an fsspec URL of a safetensors file: one of `model/train_dvae.py` or of
            `tokenize/convert_image.py`, or a dVAE of the published layout, whose names start with
            `blocks.` (encoder alone) or with `encoder.blocks.` and, to draw pictures too,
            `decoder.blocks.`.
        device: a torch device; codes of another kind of device may differ in a near tie.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no image tokenizer.
    """
    url = locate(path, DVAE_FILE)
    filesystem, place = fsspec.url_to_fs(url)
    try:
        data = filesystem.cat_file(place)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"the image tokenizer {path} is not there: give one as safetensors by "
            f"--image_tokenizer, trained with model/train_dvae.py or converted by "
            f"tokenize/convert_image.py from the one that OpenAI published at {PUBLISHED_AT}, or "
            f"--image_tokenizer {BUNDLED}"
        ) from None
    return NetworkTokenizer(parse_weights(data, url), path.rsplit("/", 1)[-1], device)


def parse_weights(data: bytes, origin: str) -> WeightsFile[Any]:
    """The network in a weights file's bytes, of whichever kind its metadata says.

    Raises:
        ValueError: it is none, or not whole; `origin` names it.
    """
    is_vqgan = vqgan_file.METADATA_KEY in read_metadata(data)
    return parse_vqgan(data, origin) if is_vqgan else parse_dvae(data, origin)


@contextmanager
def _exact(device: torch.device) -> Iterator[None]:
    """Arithmetic that gives the same bits whatever the machine is busy with."""
    threads, tf32 = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
    deterministic = torch.backends.cudnn.deterministic
    try:
        if device.type == "cpu":
            torch.set_num_threads(1)
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = False, True
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.deterministic = deterministic
