"""How many nouns, determiners, prepositions a caption has, by a part-of-speech tagger of spaCy's.

    [score.tagger]
    pipeline = "en_core_web_sm"     # an installed pipeline package, or a pipeline's folder

Nothing of the pipeline is run but its tokenizer, `tok2vec`, `tagger`, `attribute_ruler` and
`morphologizer`: the other components are left on disk. spaCy reads JSON, msgpack and plain
NumPy arrays, never a pickle; a package's folder is found without importing the package. What is
trusted is spaCy itself, the functions that installed packages have registered with it, of which
a folder's config.cfg may name any, and the regular expressions of its tokenizer. The tags are
those of Universal Dependencies; Sharma et al. 2018 used Google's natural language service.
"""

import hashlib
import importlib.util
import json
from collections.abc import Iterator
from configparser import ConfigParser, Error
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from filters.signals.coverage import MAX_CHARS
from filters.signals.signal import Columns, Signal

PUBLISHED = "https://github.com/explosion/spacy-models"
RUN = ("tok2vec", "tagger", "attribute_ruler", "morphologizer")
"""Factories of the components that are loaded."""
BATCH_CAPTIONS = 256
"""Captions that are tagged at a time: a fixed cut, so that rounding is the same everywhere."""
COUNTED = {
    "nouns": ("NOUN", "PROPN"),
    "proper_nouns": ("PROPN",),
    "verbs": ("VERB", "AUX"),
    "adjectives": ("ADJ",),
    "determiners": ("DET",),
    "prepositions": ("ADP",),
}
"""Columns and the Universal Dependencies tags that they count."""
NO_WORDS = ("PUNCT", "SYM", "SPACE")
TAGGER_COLUMNS: Columns = (
    ("tagged_words", pa.int32()),
    *((name, pa.int32()) for name in COUNTED),
    ("noun_ratio", pa.float32()),
)


@dataclass(frozen=True, slots=True)
class Tagger:
    """The table [score.tagger]: which pipeline tags the captions."""

    pipeline: str = "en_core_web_sm"
    """An installed pipeline package's name, or a local folder with a config.cfg."""

    @property
    def columns(self) -> Columns:
        return TAGGER_COLUMNS

    def find(self) -> dict[str, str]:
        """Versions, and the hash of every file of the pipeline's folder."""
        folder = self._locate()
        _choose_components(folder)
        return {"pipeline_sha256": _hash_folder(folder), "spacy": _spacy_version()}

    def load(self) -> Signal:
        import spacy  # loaded at the first unit, in the worker

        folder = self._locate()
        _, left_out = _choose_components(folder)
        nlp = spacy.load(folder, exclude=left_out)

        def measure(captions: pa.StringArray) -> tuple[pa.Array, ...]:
            return measure_tags(nlp, captions)

        return Signal(self.columns, "caption", measure)

    def _locate(self) -> Path:
        """The folder with the pipeline's config.cfg."""
        for folder in _candidates(self.pipeline):
            if (folder / "config.cfg").is_file():
                return folder
        raise ValueError(
            f"[score.tagger] pipeline {self.pipeline!r} is no installed package and no folder "
            f"with a config.cfg; install en_core_web_sm from {PUBLISHED}, or give a folder"
        )


def measure_tags(nlp: Any, captions: pa.StringArray) -> tuple[pa.Array, ...]:
    """TAGGER_COLUMNS of each caption: words, words of each kind, and nouns over words."""
    from spacy.parts_of_speech import IDS

    tags = max(IDS.values()) + 1
    counts = np.zeros((len(captions), tags), np.int32)
    texts = (caption[:MAX_CHARS] for caption in captions.to_pylist())
    for row, doc in enumerate(nlp.pipe(texts, batch_size=BATCH_CAPTIONS)):
        counts[row] = np.bincount(doc.to_array("POS").astype(np.int64), minlength=tags)
    words = counts.sum(axis=1) - counts[:, [IDS[tag] for tag in NO_WORDS]].sum(axis=1)
    kinds = [counts[:, [IDS[tag] for tag in named]].sum(axis=1) for named in COUNTED.values()]
    ratio = (kinds[0] / np.maximum(words, 1)).astype(np.float32)
    return (*(pa.array(column.astype(np.int32)) for column in (words, *kinds)), pa.array(ratio))


def _candidates(pipeline: str) -> Iterator[Path]:
    yield Path(pipeline)
    if pipeline.isidentifier():
        spec = importlib.util.find_spec(pipeline)  # of a top-level name: imports nothing
        for place in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(place)
            yield from sorted(Path(place).glob(f"{pipeline}-*"))


def _choose_components(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the components to load and to leave out.

    Raises:
        ValueError: the pipeline does not say parts of speech, or not without what we do not run.
    """
    factories = _read_factories(folder)
    used = [name for name, factory in factories.items() if factory in RUN]
    kinds = set(factories.values())
    if not ("morphologizer" in kinds or {"tagger", "attribute_ruler"} <= kinds):
        raise ValueError(
            f"the pipeline in {folder} has {', '.join(factories) or 'no components'}, which gives "
            "no parts of speech; take one with tagger and attribute_ruler, or a morphologizer"
        )
    if not kinds.isdisjoint({"transformer", "curated_transformer"}):
        raise ValueError(
            f"the pipeline in {folder} needs a transformer, which is not run here; "
            f"take one without, such as en_core_web_sm from {PUBLISHED}"
        )
    return used, [name for name in factories if name not in used]


def _read_factories(folder: Path) -> dict[str, str | None]:
    """The pipeline's components in order, and the factory of each, as config.cfg says."""
    parser = ConfigParser(interpolation=None)
    try:
        parser.read(folder / "config.cfg", encoding="utf-8")
        names = json.loads(parser["nlp"]["pipeline"])
        return {name: json.loads(parser[f"components.{name}"]["factory"]) for name in names}
    except (Error, KeyError, ValueError) as error:
        raise ValueError(f"{folder / 'config.cfg'} is no spaCy pipeline's: {error}") from error


def _hash_folder(folder: Path) -> str:
    """SHA-256 over the name and SHA-256 of every file, in the order of the names."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()}\0{digest}\n".encode())
    return whole.hexdigest()


def _spacy_version() -> str:
    try:
        return version("spacy")
    except PackageNotFoundError as error:
        raise ValueError(
            "[score.tagger] needs spaCy, which is not installed: pip install 'pairmill[tagger]'"
        ) from error
