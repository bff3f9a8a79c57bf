"""A stored picture as a CLIP model wants it: resized, cropped, one size for all.

What open_clip does with Pillow, done with torch on the bytes of the decoded picture. torch's
filters for bytes are Pillow's, in fixed-point arithmetic as there: fewer than one value in twenty
differs, by one of 255 where a picture shrinks, by two where it is enlarged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """A model's own preprocessing (open_clip's PreprocessCfg)."""

    size: Size
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    resize_mode: str
    """shortest: fill the square and crop; longest: fit into it and pad; squash: neither."""
    fill: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """From the table that open_clip keeps at a model's `visual.preprocess_cfg`."""
        size, mode = config["size"], config["resize_mode"]
        height, width = (size, size) if isinstance(size, int) else size
        # open_clip forgets the interpolation where it fills what is not a square.
        smooth = config["interpolation"] == "bilinear" and (mode != "shortest" or height == width)
        return cls(
            (height, width),
            tuple(config["mean"]),
            tuple(config["std"]),
            "bilinear" if smooth else "bicubic",
            mode,
            config["fill_color"],
        )

    def prepare(self, pixels: np.ndarray) -> Tensor:
        """uint8 [H, W, 3] RGB -> uint8 [3, height, width]."""
        height, width = self._resized(pixels.shape[:2])
        image_1CHW = torch.from_numpy(pixels).permute(2, 0, 1)[None]  # channels last, not copied
        if (height, width) != pixels.shape[:2]:
            image_1CHW = F.interpolate(
                image_1CHW, (height, width), mode=self.interpolation, antialias=True
            )
        return image_1CHW[0] if self.resize_mode == "squash" else self._crop_or_pad(image_1CHW[0])

    def normalise(self, images: Sequence[Tensor], device: torch.device) -> Tensor:
        """Prepared pictures -> one batch, float32 [B, 3, height, width]."""
        batch = torch.stack(tuple(images)).to(device).float().div_(255)
        mean, std = (
            torch.tensor(values, device=device)[:, None, None] for values in (self.mean, self.std)
        )
        return batch.sub_(mean).div_(std)

    def _resized(self, size: Size) -> Size:
        """The size before anything is cropped or padded, rounded as open_clip rounds."""
        if self.resize_mode == "squash":
            return self.size
        if self.resize_mode == "shortest" and self.size[0] == self.size[1]:
            short, side = min(size), self.size[0]
            height, width = (side if one == short else int(side * one / short) for one in size)
            return height, width
        ratios = [have / want for have, want in zip(size, self.size, strict=True)]
        ratio = max(ratios) if self.resize_mode == "longest" else min(ratios)
        return round(size[0] / ratio), round(size[1] / ratio)

    def _crop_or_pad(self, image_CHW: Tensor) -> Tensor:
        """The centre: too long a side is cut, too short a side padded."""
        height, width = self.size
        tall, wide = (max(0, want - have) for want, have in self._sides(image_CHW))
        if tall or wide:
            pads = (wide // 2, wide - wide // 2, tall // 2, tall - tall // 2)
            image_CHW = F.pad(image_CHW, pads, value=self.fill)
        top, left = (round((have - want) / 2) for want, have in self._sides(image_CHW))
        return image_CHW[:, top : top + height, left : left + width]

    def _sides(self, image_CHW: Tensor) -> Iterator[tuple[int, int]]:
        """The side that is wanted and the one that is there, of height and width."""
        return zip(self.size, image_CHW.shape[1:], strict=True)
