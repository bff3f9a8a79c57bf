"""How many BPE tokens a caption takes with the bundled vocabulary, before any cut.

Another vocabulary gives other counts; letters outside a-z take one or more each in all of ours.
"""

from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from filters.signals.signal import Signal

if TYPE_CHECKING:
    from tokens.text import TextTokenizer

MOST_TOKENS = 4_096
"""Where counting ends: sixteen times the 256 of Ramesh et al. 2021, section 2.2."""


def measure_caption_tokens(captions: pa.StringArray) -> tuple[pa.Int32Array]:
    """Tokens of each caption, MOST_TOKENS at most."""
    encoded = _tokenizer().encode(captions.to_pylist(), max_tokens=MOST_TOKENS)
    return (pa.array(encoded.offsets[1:] - encoded.offsets[:-1], pa.int32()),)


@cache
def _tokenizer() -> "TextTokenizer":
    from tokens.bundled import BUNDLED  # loaded at the first unit, in the worker
    from tokens.text import load_text_tokenizer

    return load_text_tokenizer(BUNDLED)


CAPTION_TOKENS = Signal(
    columns=(("caption_tokens", pa.int32()),),
    needs="caption",
    measure=measure_caption_tokens,
)
