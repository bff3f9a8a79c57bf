"""Drawn pictures as PNG files that say what they are, and as a list in JSON lines.

Every PNG holds, as text that any viewer of metadata shows: Description (the caption), Seed,
Settings (JSON), Run (a hash of the weights) and Software. A picture can be drawn again from it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from model.sampling.drawn import Drawn, Picture

MAX_SLUG_CHARS = 40


def save_png(image: Image.Image, path: str | Path, texts: dict[str, str]) -> None:
    """Write `image` with `texts` in its metadata: as they are where Latin-1 has their letters."""
    info = PngInfo()
    for keyword, text in texts.items():
        info.add_text(keyword, text) if _is_latin(text) else info.add_itxt(keyword, text)
    image.save(path, format="PNG", pnginfo=info)


def describe(
    captions: Sequence[str], seeds: Sequence[int], document: dict[str, Any]
) -> dict[str, str]:
    """The texts of a picture's, or a whole sheet's, metadata."""
    return {
        "Description": "\n".join(captions),
        "Seed": " ".join(map(str, seeds)),
        "Settings": json.dumps(document, sort_keys=True, ensure_ascii=False),
        "Run": str(document.get("weights", "")),
        "Software": f"pairmill {_version()}",
    }


def save_pictures(
    drawn: Sequence[Drawn], folder: Path, document: dict[str, Any]
) -> dict[tuple[str, int], str]:
    """One file per picture; their names, by caption and seed."""
    folder.mkdir(parents=True, exist_ok=True)
    names: dict[tuple[str, int], str] = {}
    for number, (caption, picture) in enumerate(_pictures(drawn)):
        name = f"{number:04d}-{slug(caption)}-{picture.seed}.png"
        texts = describe([caption], [picture.seed], document)
        if picture.score is not None:
            texts["Score"] = f"{picture.score:.6f}"
        save_png(Image.fromarray(picture.pixels), folder / name, texts)
        names[caption, picture.seed] = name
    return names


def records(
    drawn: Iterable[Drawn], names: dict[tuple[str, int], str], document: dict[str, Any]
) -> Iterator[str]:
    """A line of JSON for every picture that was drawn, kept or not."""
    for one in drawn:
        kept = {picture.seed: rank for rank, picture in enumerate(one.pictures)}
        for seed, score in one.scores.items():
            yield json.dumps(
                {
                    "caption": one.caption,
                    "seed": seed,
                    "score": score,
                    "rank": kept.get(seed),
                    "file": names.get((one.caption, seed)),
                    "settings": document,
                },
                ensure_ascii=False,
                sort_keys=True,
            )


def slug(caption: str) -> str:
    """A caption as a part of a file's name: lower-case letters and digits with dashes.

    >>> slug("A red boat, on the sea!")
    'a-red-boat-on-the-sea'
    """
    words = re.sub(r"[^a-z0-9]+", "-", caption.lower())
    return words[:MAX_SLUG_CHARS].strip("-") or "picture"


def _pictures(drawn: Iterable[Drawn]) -> Iterator[tuple[str, Picture]]:
    for one in drawn:
        for picture in one.pictures:
            yield one.caption, picture


def _is_latin(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def _version() -> str:
    try:
        return version("pairmill")
    except PackageNotFoundError:  # a checkout that is not installed
        return "unreleased"
