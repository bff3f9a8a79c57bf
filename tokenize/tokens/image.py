"""Image tokenizers: pictures to codes and back, the same codes every time.

A code is the most likely one (argmax, no noise), as when the paper encodes its training set (Ramesh
et al. 2021, section 2.2, footnote 6). Pictures go through the network a fixed number at a time, on
a CPU one by one on one thread, so that neither the batch they come in nor the cores of the machine
change a code. What may change one, where two are nearly as likely, is the arithmetic: `numerics.py`
names it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

import fsspec
import numpy as np
import numpy.typing as npt
import torch

from tokens import vqgan_file
from tokens.bundled import BUNDLED, DVAE_FILE, locate
from tokens.code_slots import CpuSlot, Slot, codes_by, stream_codes
from tokens.compiling import compile_frozen, require_compiler
from tokens.dvae_file import parse_dvae
from tokens.exact import exact_arithmetic
from tokens.gpu_slot import open_gpu_slots
from tokens.numerics import REFERENCE, Numerics
from tokens.sequence import code_dtype
from tokens.vqgan_file import parse_vqgan
from tokens.weights import WeightsFile, read_metadata

PUBLISHED_AT = "https://cdn.openai.com/dall-e/encoder.pkl"

BODIES = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""What the encoder's body computes in, by mode, where it is not float32."""

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

    def encode_each(self, images: Iterable[Pixels]) -> Iterator[Codes]:
        """uint8 [H, W, 3], all of one size -> codes [h, w] of each, in order.

        A GPU computes while the pictures that follow are still being made.
        """

    def decode(self, codes: Codes) -> Pixels:
        """Codes [B, h, w] -> uint8 [B, H, W, 3]."""


class NetworkTokenizer:
    """The image tokenizer of a weights file: a dVAE's or a VQGAN's."""

    def __init__(
        self, file: WeightsFile[Any], name: str, numerics: Numerics = REFERENCE, gpu: int = 0
    ) -> None:
        self._device = torch.device(f"cuda:{gpu}" if numerics.device == "cuda" else "cpu")
        self._file = file
        self._model = file.model.on(self._device)
        if numerics.mode in BODIES:
            self._model.lower_encoder(BODIES[numerics.mode])
        make = codes_by(self._model)
        if numerics.is_compiled:
            require_compiler()
            make = compile_frozen(make)
        self._make = make
        self._slots: dict[tuple[int, int], Sequence[Slot]] = {}
        self._lock = threading.Lock()
        self.name = name
        self.vocab_size = file.model.sizes.vocab_size
        self.sha256 = file.sha256
        self.licence = str(file.details.get("licence", ""))
        self.numerics = str(numerics)
        self._dtype = code_dtype(self.vocab_size)

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
        grid = [self.grid(side_px)[0] for side_px in images.shape[1:3]]
        return np.array(list(self.encode_each(images)), self._dtype).reshape(-1, *grid)

    def encode_each(self, images: Iterable[Pixels]) -> Iterator[Codes]:
        """uint8 [H, W, 3], all of one size -> codes [h, w] of each, in order.

        Raises:
            ValueError: a side is not a multiple of the stride, or the arithmetic overflowed.
        """
        waiting = iter(images)
        for first in waiting:
            with self._lock:  # a slot holds one caller's pictures
                slots = self._open_slots(*first.shape[:2])
                for codes in stream_codes(slots, chain([first], waiting)):
                    if codes.min() < 0:
                        raise ValueError(
                            f"{self.name}: numbers beyond the range of {self.numerics}; "
                            'give [encode] numerics "fp32"'
                        )
                    yield codes.astype(self._dtype)

    def _open_slots(self, height_px: int, width_px: int) -> Sequence[Slot]:
        """Those of the size that was last asked for; a GPU's memory holds no more."""
        size = (height_px, width_px)
        if size not in self._slots:
            for side_px in size:
                self.grid(side_px)
            self._slots.clear()
            self._slots[size] = (
                open_gpu_slots(self._make, self._device, *size)
                if self._device.type == "cuda"
                else (CpuSlot(self._make),)
            )
        return self._slots[size]

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
        with exact_arithmetic(self._device):
            for number, one in enumerate(codes.astype(np.int64)):
                codes_Bhw = torch.from_numpy(one)[None].to(self._device)
                pixels = self._model.pixels(codes_Bhw)[0].permute(1, 2, 0)
                images[number] = (pixels * 255).round().to(torch.uint8).cpu().numpy()
        return images


def load_image_tokenizer(
    path: str, numerics: Numerics = REFERENCE, gpu: int = 0
) -> NetworkTokenizer:
    """The tokenizer of a weights file.

    Args:
        path: "bundled", or an fsspec URL of a safetensors file: one of `model/train_dvae.py` or of
            `tokenize/convert_image.py`, or a dVAE of the published layout, whose names start with
            `blocks.` (encoder alone) or with `encoder.blocks.` and, to draw pictures too,
            `decoder.blocks.`.
        numerics: the arithmetic that codes are made in, and the kind of device.
        gpu: which one, where there are several.

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
    return NetworkTokenizer(parse_weights(data, url), path.rsplit("/", 1)[-1], numerics, gpu)


def parse_weights(data: bytes, origin: str) -> WeightsFile[Any]:
    """The network in a weights file's bytes, of whichever kind its metadata says.

    Raises:
        ValueError: it is none, or not whole; `origin` names it.
    """
    is_vqgan = vqgan_file.METADATA_KEY in read_metadata(data)
    return parse_vqgan(data, origin) if is_vqgan else parse_dvae(data, origin)
