"""How well a picture shows its caption, as a CLIP model sees it: a cosine in [-1, 1].

The paper draws 512 pictures of a caption and shows the best by such a model (Ramesh et al. 2021,
section 2.6); it does not say which CLIP. Weights are a file on this machine, of tensors alone.
"""

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tokens.image import Pixels

PICTURES_AT_ONCE = 32


class ClipRanker:
    """A CLIP model and what it needs to look at a picture and read a caption."""

    def __init__(self, model: str, weights: str | Path, device: torch.device | None = None) -> None:
        """Load open_clip's architecture `model` with the weights of a file.

        Raises:
            ValueError: open_clip is not installed or knows no such model, or the file is missing,
                does not fit it, or holds more than tensors.
        """
        self.model_name, self.weights = model, Path(weights)
        if not self.weights.is_file():
            raise ValueError(f"there is no file {weights} with CLIP weights")
        try:
            import open_clip  # an extra of its own, that drawing does without
        except ImportError as err:
            raise ValueError(
                "scoring by CLIP needs open_clip: pip install 'pairmill[clip]'"
            ) from err
        self._device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about other activations than this file's
                self._model, _, self._transform = open_clip.create_model_and_transforms(
                    model,
                    pretrained=str(weights),
                    require_pretrained=True,
                    device=self._device,
                    weights_only=True,
                )
                self._tokenizer = open_clip.get_tokenizer(model)
        except Exception as err:  # a strange file makes its readers raise nearly anything
            said = " ".join(str(err).split())[:300]
            raise ValueError(f"{weights} does not fit CLIP model {model}: {said}") from err
        self._model.eval().requires_grad_(False)

    def score(self, caption: str, pictures: Sequence[Pixels]) -> list[float]:
        """The cosine of each picture, uint8 (height, width, 3), with the caption."""
        return self.score_pairs([caption] * len(pictures), pictures)

    @torch.no_grad()
    def score_pairs(self, captions: Sequence[str], pictures: Sequence[Pixels]) -> list[float]:
        """The cosine of each picture with the caption at its place."""
        distinct = sorted(set(captions))
        text_ND = {caption: self._embed_text([caption])[0] for caption in distinct}
        found: list[float] = []
        for start in range(0, len(pictures), PICTURES_AT_ONCE):
            part = slice(start, start + PICTURES_AT_ONCE)
            text_BD = torch.stack([text_ND[caption] for caption in captions[part]])
            found += (self._embed_pictures(pictures[part]) * text_BD).sum(dim=1).tolist()
        return found

    def to_document(self) -> dict[str, Any]:
        with self.weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"clip_model": self.model_name, "clip_weights_sha256": digest}

    def _embed_text(self, captions: Sequence[str]) -> Tensor:
        tokens_BL = self._tokenizer(list(captions)).to(self._device)
        return F.normalize(self._model.encode_text(tokens_BL).float(), dim=-1)

    def _embed_pictures(self, pictures: Sequence[Pixels]) -> Tensor:
        prepared = [self._transform(Image.fromarray(pixels)) for pixels in pictures]
        images_BCHW = torch.stack(prepared).to(self._device)
        return F.normalize(self._model.encode_image(images_BCHW).float(), dim=-1)
