"""The rules that a recipe can name, one file each, and the signals that they read.

Pure functions of columns: no Beam, no network. To add a rule: its file, its line below, its
test, its row in the README's table.
"""

from filters.aspect_ratio import AspectRatio
from filters.boilerplate import Boilerplate
from filters.caption_length import CaptionLength
from filters.filter import Filter
from filters.language import Language
from filters.short_side import ShortSide

FILTERS: tuple[type[Filter], ...] = (
    CaptionLength,
    Language,
    Boilerplate,
    AspectRatio,
    ShortSide,
)
