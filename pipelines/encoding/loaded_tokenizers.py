"""Tokenizers of a process: each is loaded once, for a network may take minutes to compile."""

import functools

from tokens.image import ImageTokenizer, load_image_tokenizer
from tokens.numerics import Numerics
from tokens.text import TextTokenizer, load_text_tokenizer


@functools.cache
def load_text(url: str) -> TextTokenizer:
    return load_text_tokenizer(url)


@functools.cache
def load_image(url: str, numerics: Numerics, gpu: int) -> ImageTokenizer:
    """Raises ValueError where this process has not what `numerics` needs."""
    return load_image_tokenizer(url, numerics, gpu)
