"""Pictures from captions, for a Python program.

    from model.sampling.sampler import Sampler, Settings

    sampler = Sampler.load("run")
    for drawn in sampler.draw(["a red boat", "a house"], Settings(num=4)):
        drawn.caption, drawn.pictures[0].pixels        # uint8 (height, width, 3)

A picture's codes depend on the run, its caption, its seed, `Settings.choice`, what it is primed
with, and on the sampler's batch size, precision and device: never on what else is drawn. Rounding
differs between shapes, so every batch has `batch_size` rows; what is not asked for is thrown away.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
import xxhash
from torch import Tensor

from model.run_folder import RunFolder
from model.sampling.choosing import draw_uniforms
from model.sampling.drawn import Drawn, Picture, Ranker
from model.sampling.generation import Choice, Generator
from model.sampling.settings import Settings
from model.transformer import Transformer
from tokens.image import NetworkTokenizer, load_image_tokenizer
from tokens.numerics import Numerics
from tokens.sequence import lay_out_text
from tokens.text import TextTokenizer, load_text_tokenizer

__all__ = ["Choice", "Drawn", "Picture", "Ranker", "Sampler", "Settings"]

BATCH_ON_CPU, BATCH_ON_GPU = 16, 64
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

logger = logging.getLogger(__name__)


class Sampler:
    """A trained network with its tokenizers, ready to draw."""

    def __init__(
        self,
        model: Transformer,
        text_tokenizer: TextTokenizer,
        image_tokenizer: NetworkTokenizer,
        batch_size: int | None = None,
        caption_dropout: float | None = None,
    ) -> None:
        """The network draws where it is and in its own dtype.

        Args:
            batch_size: pictures that are drawn side by side, at least 1.
            caption_dropout: the share of empty captions that it was trained with, where known.
        """
        device = next(model.parameters()).device
        self.model = model.eval()
        self.text_tokenizer, self.image_tokenizer = text_tokenizer, image_tokenizer
        default_batch = BATCH_ON_CPU if device.type == "cpu" else BATCH_ON_GPU
        self.batch_size = default_batch if batch_size is None else batch_size
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        self.caption_dropout = caption_dropout
        self.step = 0
        self.weights = ""
        """Hash of the weights as the run keeps them, whatever they are drawn with."""
        self.empty_T = self._lay_out([""])[0]
        self._generators: dict[Choice, Generator] = {}

    @classmethod
    def load(
        cls,
        run: str | Path,
        device: torch.device | None = None,
        precision: str | None = None,
        batch_size: int | None = None,
    ) -> Self:
        """The averaged weights of a run with the lowest held-out loss.

        Args:
            device: the GPU where there is one, else the CPU.
            precision: "fp32" or "bf16"; bf16 on a GPU, fp32 on a CPU.

        Raises:
            ValueError: the folder holds no trained run, or there is no such precision.
        """
        device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        precision = precision or ("fp32" if device.type == "cpu" else "bf16")
        if precision not in DTYPES:
            raise ValueError(f"precision is {precision!r}; it must be fp32 or bf16")
        folder = RunFolder(run)
        numerics = Numerics(device="cpu" if device.type == "cpu" else "cuda")
        model, step = folder.load_model(device)
        weights = hash_weights(model)
        sampler = cls(
            model.to(DTYPES[precision]),
            load_text_tokenizer(str(folder.tokenizers / "text.json")),
            load_image_tokenizer(str(folder.tokenizers / "image.safetensors"), numerics),
            batch_size,
            folder.read()[0].optim.caption_dropout,
        )
        sampler.step, sampler.weights = step, weights
        return sampler

    def draw(
        self,
        captions: Sequence[str],
        settings: Settings | None = None,
        ranker: Ranker | None = None,
        prime_codes: npt.NDArray[np.uint32] | None = None,
    ) -> list[Drawn]:
        """Pictures of each caption.

        Args:
            ranker: scores every picture; needed where `settings.best_of` is given.
            prime_codes: (rows, columns), the top of every picture (`model/sampling/priming.py`).

        Raises:
            ValueError: a best is asked for and no ranker given, or the codes do not fit.
        """
        settings = settings or Settings()
        if settings.best_of and ranker is None:
            raise ValueError("the best of several pictures needs a ranker")
        if settings.choice.is_guided and self.caption_dropout == 0:
            logger.warning(
                "the run was trained without caption dropout, so what guidance moves away from "
                "is a caption that it has never seen; train with --caption_dropout 0.1"
            )
        codes_NI = self._draw_codes(captions, settings, self._check_prime(prime_codes))
        parts = np.split(codes_NI, len(captions)) if captions else []
        return [
            self._keep(caption, part_NI, settings, ranker)
            for caption, part_NI in zip(captions, parts, strict=True)
        ]

    def to_document(self) -> dict[str, Any]:
        """What pictures depend on beside captions, seeds and settings."""
        place = next(self.model.parameters())
        return {
            "weights": self.weights or hash_weights(self.model),
            "step": self.step,
            "batch_size": self.batch_size,
            "precision": next(name for name, dtype in DTYPES.items() if dtype == place.dtype),
            "device": place.device.type,
        }

    def _draw_codes(
        self, captions: Sequence[str], settings: Settings, given_J: Tensor | None
    ) -> npt.NDArray[np.uint32]:
        """Every candidate's codes, [captions x candidates, I]."""
        num = settings.candidates
        generator = self._generator(settings.choice)
        text_NT = self._lay_out(captions).repeat_interleave(num, dim=0)
        seeds = [settings.seed + j for _ in captions for j in range(num)]
        found: list[npt.NDArray[np.uint32]] = []
        for start in range(0, len(seeds), self.batch_size):
            rows = range(start, min(start + self.batch_size, len(seeds)))
            filled = [*rows, *[rows[-1]] * (self.batch_size - len(rows))]
            uniforms = draw_uniforms([seeds[row] for row in filled], self.model.layout.num_codes)
            codes_BI = generator.draw(text_NT[filled], self.empty_T, uniforms, given_J)
            found.append(codes_BI[: len(rows)].cpu().numpy().astype(np.uint32))
        return np.concatenate(found) if found else np.zeros((0, 0), np.uint32)

    def _generator(self, choice: Choice) -> Generator:
        """One at a time is kept: its caches are the larger part of what drawing needs."""
        if choice not in self._generators:
            self._generators = {choice: Generator(self.model, self.batch_size, choice)}
        return self._generators[choice]

    def _keep(
        self,
        caption: str,
        codes_NI: npt.NDArray[np.uint32],
        settings: Settings,
        ranker: Ranker | None,
    ) -> Drawn:
        layout = self.model.layout
        codes_Nhw = codes_NI.reshape(-1, layout.grid_height, layout.grid_width)
        seeds = range(settings.seed, settings.seed + len(codes_Nhw))
        scores: list[float | None] = [None] * len(codes_Nhw)
        if ranker is not None:
            scores = []
            for start in range(0, len(codes_Nhw), self.batch_size):
                pixels = self.image_tokenizer.decode(codes_Nhw[start : start + self.batch_size])
                scores += ranker.score(caption, list(pixels))
        order = sorted(range(len(scores)), key=lambda i: -(scores[i] or 0.0))[: settings.num]
        kept = self.image_tokenizer.decode(codes_Nhw[order])
        pictures = tuple(
            Picture(seeds[i], codes_Nhw[i], pixels, scores[i])
            for i, pixels in zip(order, kept, strict=True)
        )
        return Drawn(caption, pictures, dict(zip(seeds, scores, strict=True)))

    def _lay_out(self, captions: Sequence[str]) -> Tensor:
        layout = self.model.layout
        encoded = self.text_tokenizer.encode(list(captions), max_tokens=layout.text_slots)
        return torch.from_numpy(lay_out_text(layout, encoded.ids, encoded.offsets))

    def _check_prime(self, codes: npt.NDArray[np.uint32] | None) -> Tensor | None:
        if codes is None:
            return None
        layout = self.model.layout
        if not 0 < len(codes) < layout.grid_height or codes.shape[1] != layout.grid_width:
            raise ValueError(
                f"{len(codes)} rows of {codes.shape[1]} codes are given; pictures have "
                f"{layout.grid_height} rows of {layout.grid_width}, and at least one must be left"
            )
        return torch.from_numpy(codes.astype(np.int64)).flatten()


def hash_weights(model: Transformer) -> str:
    """XXH3-128 (hex) of all weights and their names: which run, and which step of it."""
    digest = xxhash.xxh3_128()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
