"""Drop captions that are mainly a link, an e-mail address or a telephone number."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Contacts:
    """Links, e-mail addresses or telephone numbers cover more of the caption than is allowed.

    What is left over of such a caption says little of the picture, and may lead to a person.
    Of other captions the personal data can be masked: `mask_personal_data` in [encode].
    """

    reason: ClassVar[str] = "contacts"
    signals: ClassVar[tuple[str, ...]] = ("url_ratio", "email_ratio", "telephone_ratio")

    max_url_ratio: Annotated[float, Between(0, 1)] = 0.5
    """Share of the letters and digits, itself allowed (ours: mainly)."""
    max_email_ratio: Annotated[float, Between(0, 1)] = 0.5
    """Share of the letters and digits, itself allowed (ours: mainly)."""
    max_telephone_ratio: Annotated[float, Between(0, 1)] = 0.5
    """Share of the letters and digits, itself allowed (ours: mainly)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        limits = (self.max_url_ratio, self.max_email_ratio, self.max_telephone_ratio)
        passes = np.ones(len(signals), bool)
        for name, limit in zip(self.signals, limits, strict=True):
            passes &= signals[name].to_numpy(zero_copy_only=False) <= limit
        return np.asarray(~passes)
