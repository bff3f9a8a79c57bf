"""What the score stage measures: one file per measurement, one registry of them all."""

import pyarrow as pa

from filters.signals.boilerplate import BOILERPLATE
from filters.signals.border import BORDER
from filters.signals.caption_size import CAPTION_SIZE
from filters.signals.caption_tokens import CAPTION_TOKENS
from filters.signals.cld2 import CLD2
from filters.signals.cld3 import CLD3
from filters.signals.clip import CLIP_TYPES
from filters.signals.contacts import CONTACTS
from filters.signals.entropy import ENTROPY
from filters.signals.flatness import FLATNESS
from filters.signals.letter_kinds import LETTER_KINDS
from filters.signals.original import ORIGINAL
from filters.signals.perceptual_hash import PERCEPTUAL_HASH
from filters.signals.picture_size import PICTURE_SIZE
from filters.signals.sharpness import SHARPNESS
from filters.signals.signal import Signal
from filters.signals.tagger import TAGGER_COLUMNS
from filters.signals.word_lists import PROFANITY_COLUMNS, VOCABULARY_COLUMNS
from filters.signals.word_use import WORD_USE

SIGNALS: tuple[Signal, ...] = (
    CAPTION_SIZE,
    CAPTION_TOKENS,
    WORD_USE,
    LETTER_KINDS,
    CONTACTS,
    BOILERPLATE,
    CLD3,
    CLD2,
    PICTURE_SIZE,
    ORIGINAL,
    PERCEPTUAL_HASH,
    FLATNESS,
    ENTROPY,
    SHARPNESS,
    BORDER,
)

SIGNAL_TYPES = {name: kind for signal in SIGNALS for name, kind in signal.columns}
"""Arrow types of the columns that need no model, in the order of the columns."""

CORPUS_SIGNAL_TYPES = {"caption_count": pa.uint32()}
"""Columns that select computes over the whole corpus; a rule reads them as it reads the others."""

MODEL_TABLES: dict[str, dict[str, pa.DataType]] = {
    "clip": CLIP_TYPES,
    "tagger": dict(TAGGER_COLUMNS),
    "profanity": dict(PROFANITY_COLUMNS),
    "vocabulary": dict(VOCABULARY_COLUMNS),
}
"""The tables of a recipe's [score] that name models, and the columns of each that rules read."""

MODEL_SIGNAL_TYPES = {name: kind for kinds in MODEL_TABLES.values() for name, kind in kinds.items()}
"""Columns of all models, as far as rules read them."""

RULE_SIGNAL_TYPES = SIGNAL_TYPES | CORPUS_SIGNAL_TYPES | MODEL_SIGNAL_TYPES
"""All that a rule may read."""
