"""Drop captions that a model would see only the beginning of."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class CaptionTokens:
    """The caption takes more BPE tokens than the sequence has room for.

    The paper encodes "up to 256 tokens" (Ramesh et al. 2021, section 2.2) and does not say whether
    it cut or dropped longer captions; encode cuts. Counted with the bundled vocabulary.
    """

    reason: ClassVar[str] = "caption_tokens"
    signals: ClassVar[tuple[str, ...]] = ("caption_tokens",)

    max_tokens: Annotated[int, Between(1, 4_096)] = 256
    """Tokens, itself allowed (Ramesh et al. 2021, section 2.2: 256)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        value = signals["caption_tokens"].to_numpy(zero_copy_only=False)
        return np.asarray(~(value <= self.max_tokens))
