"""What the score stage measures: one file per measurement, one registry of them all."""

from filters.signals.boilerplate import BOILERPLATE
from filters.signals.caption_size import CAPTION_SIZE
from filters.signals.cld2 import CLD2
from filters.signals.cld3 import CLD3
from filters.signals.perceptual_hash import PERCEPTUAL_HASH
from filters.signals.picture_size import PICTURE_SIZE
from filters.signals.signal import Signal

SIGNALS: tuple[Signal, ...] = (
    CAPTION_SIZE,
    BOILERPLATE,
    CLD3,
    CLD2,
    PICTURE_SIZE,
    PERCEPTUAL_HASH,
)

SIGNAL_TYPES = {name: kind for signal in SIGNALS for name, kind in signal.columns}
"""Every column's Arrow type, in the order of the columns."""
