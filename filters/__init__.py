"""The rules that a recipe can name, one file each, and the signals that they read.

Pure functions of columns: no Beam, no network. To add a rule: its file, its line below, its
test, its row in the README's table.
"""

from filters.aesthetic import Aesthetic
from filters.animation import Animation
from filters.aspect_ratio import AspectRatio
from filters.blur import Blur
from filters.body_size import BodySize
from filters.boilerplate import Boilerplate
from filters.border import Border
from filters.capitalisation import Capitalisation
from filters.caption_length import CaptionLength
from filters.caption_repetition import CaptionRepetition
from filters.caption_tokens import CaptionTokens
from filters.clip_similarity import ClipSimilarity
from filters.contacts import Contacts
from filters.digits import Digits
from filters.entropy import Entropy
from filters.filter import Filter
from filters.flatness import Flatness
from filters.jpeg_quality import JpegQuality
from filters.language import Language
from filters.nsfw import Nsfw
from filters.part_of_speech import PartOfSpeech
from filters.profanity import Profanity
from filters.punctuation import Punctuation
from filters.rare_words import RareWords
from filters.repeated_phrase import RepeatedPhrase
from filters.repetition import Repetition
from filters.short_side import ShortSide
from filters.transparency import Transparency

FILTERS: tuple[type[Filter], ...] = (
    CaptionLength,
    CaptionTokens,
    Language,
    Boilerplate,
    Contacts,
    Digits,
    Punctuation,
    Capitalisation,
    Repetition,
    RepeatedPhrase,
    Profanity,
    RareWords,
    PartOfSpeech,
    CaptionRepetition,
    AspectRatio,
    ShortSide,
    BodySize,
    Flatness,
    Entropy,
    Blur,
    JpegQuality,
    Border,
    Transparency,
    Animation,
    ClipSimilarity,
    Aesthetic,
    Nsfw,
)
