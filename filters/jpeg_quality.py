"""Drop pictures that were compressed so far that blocks show."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class JpegQuality:
    """The picture was fetched as a JPEG whose quality is below `min_quality`.

    A picture in another format has no such quality; the recipe says what becomes of it.
    """

    reason: ClassVar[str] = "jpeg_quality"
    signals: ClassVar[tuple[str, ...]] = ("jpeg_quality", "body_bytes")

    min_quality: Annotated[int, Between(1, 100)] = 50
    """On libjpeg's scale of 1 to 100, itself allowed (ours; libjpeg's own default is 75)."""
    other_formats: Literal["keep", "drop"] = "keep"
    """What becomes of PNG, WebP and GIF (Sharma et al. 2018, section 3, keep JPEG alone)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        quality = signals["jpeg_quality"].to_numpy(zero_copy_only=False)
        is_jpeg = signals["jpeg_quality"].is_valid().to_numpy(zero_copy_only=False)
        fetched = signals["body_bytes"].is_valid().to_numpy(zero_copy_only=False)
        spared = ~is_jpeg & (self.other_formats == "keep")
        return np.asarray(~(fetched & (spared | (is_jpeg & (quality >= self.min_quality)))))
